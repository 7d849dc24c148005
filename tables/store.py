"""The Faust table `accumulation`: per-anima state and per-partition clock, on a changelog whose delivery is awaited."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

import faust
import orjson

from streams.batching import Row
from tables.accumulation import Accumulation, Window


class Mark(NamedTuple):
    """The partition's clock, in ms of log time, as it stood before the record at `offset`."""

    offset: int
    clock: int


class _Changelogged(faust.Table):  # type: ignore[misc]  # Faust has no types
    """Collects the changelog's rows instead of sending each: who writes states sends them together, and awaits them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows: list[Row] = []

    def on_key_set(self, key: bytes, value: bytes) -> None:
        self.rows.append(Row(key, value))


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
            if not key.startswith(b"clock/"):
                partition, state = _decode(value)
                if state.window is not None:
                    yield partition, UUID(bytes=bytes(key)), state

    def write(self, partition: int, states: dict[UUID, Accumulation], marks: list[Mark]) -> list[Row]:
        """Each touched state once; returns the changelog's rows, to be delivered before the batch is acknowledged."""
        rows: list[Row] = []
        self.table.rows = rows
        for anima, state in states.items():
            self.table[anima.bytes] = _encode(partition, state)
        self.table[_clock_key(partition)] = orjson.dumps([tuple(mark) for mark in marks])
        return rows


def _clock_key(partition: int) -> bytes:
    return b"clock/%d" % partition


def _encode(partition: int, state: Accumulation) -> bytes:
    window = tuple(state.window) if state.window else None
    return orjson.dumps([partition, state.absorbed, window, state.weights])


def _decode(value: bytes) -> tuple[int, Accumulation]:
    partition, absorbed, window, weights = orjson.loads(value)
    return partition, Accumulation(absorbed, Window(*window) if window else None, tuple(weights) if weights else None)
