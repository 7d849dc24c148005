"""Vectors and words of animas asked about lately, as arrays in this process: both are written once and never change.

What is computed from a row depends on that row alone, not on how many others there are or when they came, so the same
question finds the same numbers, to the last bit, whether the cache was warm or cold.
"""

import asyncio
import mmap
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from sinks.documents import NO_DOCUMENTS, Documents

Floats = NDArray[np.float32]
FLOAT_BYTES = np.dtype(np.float32).itemsize
LARGE = 65_536  # bytes
LAYER_BYTES = 2_000  # what a layer takes besides its numbers, with its place in the cache


class Run:
    """The vectors of one layer, from seq `first` on, without a gap. Whoever makes it longer holds the lock."""

    def __init__(self) -> None:
        self.first = self.end = 0
        self.room: Floats = np.empty((0, 0), np.float32)
        self.lock = asyncio.Lock()

    def append(self, first: int, rows: Floats, until: int = 0) -> None:
        """Rows from seq `first` on, but those that are here; room is made for all before `until`, if more are to come.

        Raises ValueError if they do not follow on what is here.
        """
        if self.first == self.end:
            self.first = self.end = first
        if first > self.end:
            raise ValueError(f"vectors from {first} on do not follow on {self.end}")
        rows = rows[self.end - first :]
        if not len(rows):
            return
        held, needed = len(self.rows), len(self.rows) + len(rows)
        if needed > len(self.room):
            room = _room(max(needed, until - self.first, held + held // 8), rows.shape[1])
            if held:
                room[:held] = self.rows
            self.room = room
        self.room[held:needed] = rows
        self.end += len(rows)

    @property
    def rows(self) -> Floats:
        return self.room[: self.end - self.first]

    def products(self, vector: Floats) -> Floats:
        """The inner product of each row with the vector."""
        # Not `@`: BLAS works on several rows at a time, and what it makes of the last ones depends on their number.
        return np.einsum("ij,j->i", self.rows, vector) if len(self.rows) else np.zeros(0, np.float32)


def _room(items: int, dimensions: int) -> Floats:
    """If it is large, memory that goes back to the system when it is dropped: from malloc, which keeps the gaps that
    runs of ever other sizes leave behind, all runs together would take more than is counted. Small ones would take a
    page at least, and a process may have no more than 65,530 such mappings.
    """
    size = items * dimensions * FLOAT_BYTES
    if size < LARGE:
        return np.empty((items, dimensions), np.float32)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, np.float32).reshape(items, dimensions)


class HeldLayer:
    """What this process holds of one layer."""

    def __init__(self) -> None:
        self.documents, self.vectors = NO_DOCUMENTS, Run()

    def read_on(self, known: Documents, row: dict[str, Any]) -> Documents:
        """What was held when the row was asked for, with what it brought. Raises WentBack."""
        documents = known.extended(row)
        if len(documents) > len(self.documents):  # who asked at the same time may have read more
            self.documents = documents
        return documents

    @property
    def nbytes(self) -> int:
        return LAYER_BYTES + self.documents.nbytes + self.vectors.room.nbytes


class LayerCache:
    """Layers by anima, layer, generation and model; those used least lately are dropped beyond `most_bytes`."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.layers: OrderedDict[Any, tuple[HeldLayer, int]] = OrderedDict()
        self.nbytes = 0  # of all, as they were when last used
        self.begun: WeakValueDictionary[Any, HeldLayer] = WeakValueDictionary()

    def most_items(self, dimensions: int) -> int:
        """How many a layer may have for its vectors to be held here: none takes more than half of the room."""
        return self.most_bytes // (2 * dimensions * FLOAT_BYTES)

    def layer(self, key: Any) -> HeldLayer:
        """What is held of a layer; empty if nothing is. Who asks at the same time gets the same."""
        held = self.layers[key][0] if key in self.layers else self.begun.get(key) or HeldLayer()
        self.begun[key] = held
        return held

    def keep(self, key: Any, held: HeldLayer) -> None:
        """To be called whenever a layer was used."""
        self.nbytes -= self.layers.pop(key, (held, 0))[1]
        if held.nbytes == LAYER_BYTES:  # it is empty
            return
        self.layers[key] = held, held.nbytes
        self.nbytes += held.nbytes
        while self.nbytes > self.most_bytes:
            _, (_, dropped) = self.layers.popitem(last=False)
            self.nbytes -= dropped

    def forget(self, keys: Iterable[Any]) -> None:
        """Who asks next begins anew."""
        for key in keys:
            self.nbytes -= self.layers.pop(key, (None, 0))[1]
            self.begun.pop(key, None)
