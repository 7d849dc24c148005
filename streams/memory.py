"""What Python and the C library are told of a stage's memory: much of it, for a short time, in pieces of megabytes."""

import ctypes
import gc

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE = 1_048_576  # bytes


def spare_memory(*, computes: bool = False) -> None:
    """To be called once, before a stage starts. One that `computes` needs the same large pieces again and again: to ask
    the system for each anew would take half its time.
    """
    # Records live for one batch and form no cycles: they need not be searched every 700 allocations.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    # glibc takes large pieces from the system and gives them back, until the first is freed: from then on it keeps
    # them, with gaps of all sizes between them. Fetches are megabytes each; a stage held three quarters more.
    # Other C libraries have no mallopt.
    if not computes:
        getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)(M_MMAP_THRESHOLD, LARGE)


def collect() -> None:
    """To be called when partitions have moved. What aiokafka had fetched of them refers to itself (`PartitionRecords`
    and its generator): megabytes that wait for the collector, which is spared.
    """
    gc.collect()
