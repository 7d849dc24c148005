"""The Faust table `accumulation`: per-anima state and per-partition clock, on a changelog whose delivery is awaited."""

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

import faust
import orjson

from tables.accumulation import Accumulation, Window


class Mark(NamedTuple):
    """The partition's clock, in ms of log time, as it stood before the record at `offset`."""

    offset: int
    clock: int


class _Changelogged(faust.Table):  # type: ignore[misc]  # Faust has no types
    """Keeps the delivery of the writes, so that a batch is acknowledged only when its state is on the changelog."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deliveries: list[asyncio.Future[Any]] = []

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:
        delivery = super().send_changelog(*args, **kwargs)
        self.deliveries.append(delivery)
        return delivery


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

    def write(self, partition: int, states: dict[UUID, Accumulation], marks: list[Mark]) -> list[asyncio.Future[Any]]:
        """Each touched state once; returns the deliveries to await before the batch is acknowledged."""
        deliveries: list[asyncio.Future[Any]] = []
        self.table.deliveries = deliveries
        for anima, state in states.items():
            self.table[anima.bytes] = _encode(partition, state)
        self.table[_clock_key(partition)] = orjson.dumps([tuple(mark) for mark in marks])
        return deliveries


def _clock_key(partition: int) -> bytes:
    return b"clock/%d" % partition


def _encode(partition: int, state: Accumulation) -> bytes:
    window = tuple(state.window) if state.window else None
    return orjson.dumps([partition, state.absorbed, window, state.weights])


def _decode(value: bytes) -> tuple[int, Accumulation]:
    partition, absorbed, window, weights = orjson.loads(value)
    return partition, Accumulation(absorbed, Window(*window) if window else None, tuple(weights) if weights else None)
