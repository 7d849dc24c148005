"""Python's cycle collector, told what a stage's memory is like."""

import gc


def spare_collector() -> None:
    """Records live for one batch and form no cycles: they need not be searched every 700 allocations."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
