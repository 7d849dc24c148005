"""Where the terms of a question stand: in the packed entries of chunks, and in the documents that follow them. Pure."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from agents.index import BUCKETS, CHUNK, ENTRY

Int32 = NDArray[np.int32]
Posting = tuple[Int32, NDArray[np.integer]]
"""The seqs that have a term, ascending, and how often each does."""


class Entries:
    """The entries of some buckets. `spans` has chunk and bytes of each run of entries, by bucket, then chunk."""

    def __init__(self, entries: bytes, spans: bytes) -> None:
        self.entries = np.frombuffer(entries, ENTRY)
        self.chunk, lengths = np.frombuffer(spans, ">i4").reshape(-1, 2).T
        self.starts = np.concatenate(([0], np.cumsum(lengths // ENTRY.itemsize)))
        self.bucket = self.entries["term"][self.starts[:-1]] % BUCKETS

    def find(self, term: int) -> Posting:
        own = np.searchsorted(self.bucket, (term % BUCKETS, term % BUCKETS + 1))
        first, last = self.starts[own]
        at = first + np.flatnonzero(self.entries["term"][first:last] == term)
        found, span = self.entries[at], np.searchsorted(self.starts, at, side="right") - 1
        return (self.chunk[span] * CHUNK + found["seq"]).astype(np.int32), found["frequency"]


def counted(terms: NDArray[np.uint32], seqs: Int32, wanted: Sequence[int]) -> Iterator[Posting]:
    """Of each of the wanted terms, in documents' terms that stand in the order of `seqs`, repeats and all."""
    places = [seqs[terms == term] for term in wanted]
    ends = np.cumsum([len(own) for own in places], dtype=np.intp)
    place = np.concatenate([*places, np.full(1, -1, np.int32)])  # no seq, so that the last one ends, too
    new = np.ones(len(place), np.bool_)
    np.not_equal(place[1:], place[:-1], out=new[1:])
    new[ends] = True
    first = np.flatnonzero(new)
    frequency, bounds = np.diff(first), np.searchsorted(first, ends)
    for start, end in zip((0, *bounds), bounds, strict=False):
        yield place[first[start:end]], frequency[start:end]
