"""The Faust table `accumulation`: per-anima state and per-partition clock, on a changelog whose delivery is awaited."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

import faust
import orjson

from streams.batching import Row
from tables.accumulation import Accumulation, Window

CLOCK = b"clock/"  # and the number of the partition: the key of its marks


class Mark(NamedTuple):
    """The partition's clock, in ms of log time, as it stood before the record at `offset`: a fact about the log."""

    offset: int
    clock: int


def clock_at(offset: int, marks: Iterable[Mark]) -> int:
    """Before the record at `offset`, which is the first of the log or after a mark. A redelivery finds marks of later
    batches, too: these must not be believed.
    """
    return max((mark for mark in marks if mark.offset <= offset), default=Mark(0, 0)).clock


def kept(marks: Iterable[Mark], committed: int) -> list[Mark]:
    """In order, what a redelivery may need: the newest mark at or before the committed offset, and all after it."""
    ordered = sorted(set(marks))
    older = [mark for mark in ordered if mark.offset <= committed]
    return older[-1:] + ordered[len(older) :]


def reach(key: bytes, value: bytes) -> tuple[int, ...]:
    """What grows with every state of a key that is written in its turn: what it has absorbed."""
    decoded = orjson.loads(value)
    if key.startswith(CLOCK):
        return decoded[-1][0], decoded[0][0], len(decoded)
    return (decoded[1],)


class _Changelogged(faust.Table):  # type: ignore[misc]  # Faust has no types
    """Collects the changelog's rows instead of sending each: who writes states sends them together, and awaits them.

    A worker that froze before it sent its states sends them when it wakes, behind those of whoever took its place; the
    broker cannot tell. So recovery takes the state that reaches furthest, and not the last; `outrun` are the keys, with
    their partitions, for which that was not the same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows: list[Row] = []
        self.outrun: dict[bytes, int] = {}

    def on_key_set(self, key: bytes, value: bytes) -> None:
        self.rows.append(Row(key, value))

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        for event in batch:
            key, known = event.key, self.data.get(event.key)
            if known is not None and reach(key, event.value) < reach(key, known):
                self.outrun[key] = event.message.partition
                continue
            self.outrun.pop(key, None)
            super().apply_changelog_batch([event])


class AccumulationTable:
    """Keys are anima ids (16 bytes) and `clock/<partition>`; values JSON. Written only while iterating the source."""

    def __init__(self, app: faust.App, partitions: int) -> None:
        app.conf.Table = _Changelogged
        self.table = app.Table("accumulation", partitions=partitions, key_type=bytes, value_type=bytes)

    def load(self, anima: UUID) -> Accumulation:
        value = self.table.get(anima.bytes)
        return _decode(value)[1] if value else Accumulation()

    def marks(self, partition: int) -> list[Mark]:
        value = self.table.get(_clock_key(partition))
        return [Mark(*pair) for pair in orjson.loads(value)] if value else []

    def pending(self) -> Iterator[tuple[int, UUID, Accumulation]]:
        """Partition, anima and state of everything that waits for its threshold."""
        for key, value in self.table.items():
            if not key.startswith(CLOCK):
                partition, state = _decode(value)
                if state.window is not None:
                    yield partition, UUID(bytes=bytes(key)), state

    def write(self, partition: int, states: dict[UUID, Accumulation], marks: list[Mark]) -> list[Row]:
        """Each touched state once, and what recovery found outrun, which must not be left to compaction; returns the
        changelog's rows, to be delivered before the batch is acknowledged.
        """
        rows: list[Row] = []
        self.table.rows = rows
        for key in [key for key, home in self.table.outrun.items() if home == partition]:
            del self.table.outrun[key]
            self.table[key] = self.table[key]
        for anima, state in states.items():
            self.table[anima.bytes] = _encode(partition, state)
        self.table[_clock_key(partition)] = orjson.dumps([tuple(mark) for mark in marks])
        return rows


def _clock_key(partition: int) -> bytes:
    return CLOCK + b"%d" % partition


def _encode(partition: int, state: Accumulation) -> bytes:
    window = tuple(state.window) if state.window else None
    return orjson.dumps([partition, state.absorbed, window, state.weights])


def _decode(value: bytes) -> tuple[int, Accumulation]:
    partition, absorbed, window, weights = orjson.loads(value)
    return partition, Accumulation(absorbed, Window(*window) if window else None, tuple(weights) if weights else None)
