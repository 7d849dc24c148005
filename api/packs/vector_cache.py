"""Vectors of the animas asked about lately, as matrices in this process: a vector is written once and never changes.

What is computed from a row depends on that row alone, not on how many others there are or when they came, so the same
question finds the same numbers, to the last bit, whether the cache was warm or cold.
"""

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
FLOAT_BYTES = np.dtype(np.float32).itemsize


class Run:
    """The vectors of one layer, from seq `first` on, without a gap.

    Few blocks of rows: the last two become one as soon as the later has reached the size of the earlier, so that what
    comes in small pieces is copied a few times, and not every time.
    """

    def __init__(self) -> None:
        self.first = self.end = 0
        self.blocks: list[Floats] = []

    def append(self, first: int, rows: Floats) -> None:
        """Rows from seq `first` on, but those that are here. `first` is at most `end`, unless these are the first."""
        if not self.blocks:
            self.first = self.end = first
        rows = rows[self.end - first :]
        if not len(rows):
            return
        self.end += len(rows)
        while self.blocks and len(self.blocks[-1]) <= len(rows):
            rows = np.concatenate((self.blocks.pop(), rows))
        self.blocks.append(rows)

    def products(self, vector: Floats) -> Floats:
        """The inner product of each row with the vector."""
        # Not `@`: BLAS works on several rows at a time, and what it makes of the last ones depends on their number.
        found = [np.einsum("ij,j->i", rows, vector) for rows in self.blocks]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    @property
    def nbytes(self) -> int:
        return sum(rows.nbytes for rows in self.blocks)


class VectorCache:
    """Runs by anima, layer, generation and model; those used least lately are dropped beyond `most_bytes`."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.runs: OrderedDict[Any, Run] = OrderedDict()

    def admits(self, items: int, dimensions: int) -> bool:
        """Whether a layer of this size is held here: no layer takes more than half of the room."""
        return 2 * items * dimensions * FLOAT_BYTES <= self.most_bytes

    def run(self, key: Any) -> Run:
        """What is held, to be extended by what follows its end; empty if nothing is."""
        return self.runs.get(key) or Run()

    def keep(self, key: Any, run: Run) -> None:
        self.runs[key] = run
        self.runs.move_to_end(key)
        while len(self.runs) > 1 and self.nbytes > self.most_bytes:
            self.runs.popitem(last=False)

    @property
    def nbytes(self) -> int:
        return sum(run.nbytes for run in self.runs.values())
