"""The Faust table `accumulation`: per-anima state and per-partition clock, on a changelog whose delivery is awaited."""

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

import faust
import orjson
import structlog

from streams.batching import Row
from streams.lossless import Batch
from tables.accumulation import Accumulation, Window

log = structlog.get_logger()
CLOCK = b"clock/"  # and the number of the partition: the key of its marks


class Mark(NamedTuple):
    """The partition's clock, in ms of log time, as it stood before the record at `offset`: a fact about the log."""

    offset: int
    clock: int


BEGINNING = Mark(0, 0)


def clock_at(offset: int, marks: Iterable[Mark]) -> int:
    """Before the record at `offset`, which is the first of the log or after a mark. A redelivery finds marks of later
    batches, too: these must not be believed.
    """
    return max((mark for mark in marks if mark.offset <= offset), default=BEGINNING).clock


def kept(marks: Iterable[Mark], committed: int) -> list[Mark]:
    """In order, what a redelivery may need: the newest mark at or before the committed offset, and all after it."""
    ordered = sorted({BEGINNING, *marks})
    older = [mark for mark in ordered if mark.offset <= committed]
    return older[-1:] + ordered[len(older) :]


def merged(one: list[Mark], other: list[Mark]) -> list[Mark]:
    """What a redelivery may need of two lists that each began at the newest mark at or before a committed offset: what
    was committed is at least the later of these two.
    """
    return [mark for mark in sorted({*one, *other}) if mark.offset >= max(one[0].offset, other[0].offset)]


def furthest(key: bytes, one: bytes, other: bytes) -> bytes:
    """Of two values of a key, whichever was written later, what holds for both. The order does not matter."""
    first, second = orjson.loads(one), orjson.loads(other)
    if key.startswith(CLOCK):
        return _pairs(merged([Mark(*pair) for pair in first], [Mark(*pair) for pair in second]))
    # What is due fires without an offset being absorbed: the window is gone, the offset stays.
    return max((first[1], first[2] is None, one), (second[1], second[2] is None, other))[2]


class _Recovered(NamedTuple):
    """What the store reads of an event of the changelog. `message` is the key's last record."""

    key: bytes
    value: bytes
    message: Any


class _Changelogged(faust.Table):  # type: ignore[misc]  # Faust has no types
    """Collects the changelog's rows instead of sending each: who writes states sends them together, and awaits them.

    A worker that froze before it sent its states sends them when it wakes, behind those of whoever took its place; the
    broker cannot tell. So recovery takes what reaches furthest, and not the last; `outrun` are the keys, with their
    partitions, for which that was not the same. Compaction keeps the last.

    Recovery gets a poll's records as one event, whole or not at all: one by one they take 74 µs each.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows: list[Row] = []
        self.outrun: dict[bytes, int] = {}
        self.ends: dict[int, int] = {}  # by partition: what follows on the last record read or written

    def on_key_set(self, key: bytes, value: bytes) -> None:
        self.rows.append(Row(key, value))

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Each event's value are the records of one poll."""
        try:
            self._apply(itertools.chain.from_iterable(event.value for event in batch))
        except Exception:
            # Faust would log a line and wait for ever.
            log.exception("the changelog cannot be read, stopping")
            os._exit(70)

    def _apply(self, records: Iterable[Any]) -> None:
        found: dict[bytes, _Recovered] = {}
        for record in records:
            key = record.key
            known = found[key].value if key in found else self.data.get(key)
            value = record.value if known is None else furthest(key, known, record.value)
            if value == record.value:
                self.outrun.pop(key, None)
            else:
                self.outrun[key] = record.partition
            found[key] = _Recovered(key, value, record)
            self.ends[record.partition] = record.offset + 1
        super().apply_changelog_batch(found.values())


class AccumulationTable:
    """Keys are anima ids (16 bytes) and `clock/<partition>`; values JSON. Written only while iterating the source."""

    def __init__(self, app: faust.App, partitions: int) -> None:
        app.conf.Table = _Changelogged
        self.table = app.Table(
            "accumulation", partitions=partitions, key_type=bytes, value_type=bytes, schema=Batch(),
            recovery_buffer_size=2,  # polls that are held before they are applied; after 1, Faust goes on reading
        )  # fmt: skip
        # Partitions whose changelog has to be written again, and when that was noticed, in monotonic seconds.
        self.doubts: dict[int, float] = {}

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
        """Each touched state once; returns the changelog's rows, to be delivered before the batch is acknowledged."""
        rows: list[Row] = []
        self.table.rows = rows
        for anima, state in states.items():
            self.table[anima.bytes] = _encode(partition, state)
        self.table[_clock_key(partition)] = _pairs(marks)
        return rows

    def delivered(self, partition: int, spans: Iterable[range]) -> None:
        """Where the rows came to stand: with a gap before them, another worker may have written in between."""
        for span in spans:
            if self.table.ends.setdefault(partition, span.start) != span.start:
                self.doubt(partition)
            self.table.ends[partition] = span.stop

    def doubt(self, partition: int) -> None:
        self.doubts.setdefault(partition, time.monotonic())

    def doubted(self, since: float) -> list[int]:
        """Partitions that have been doubted since then or longer, in monotonic seconds; from now on they are not.
        Those are doubted, too, in which recovery found an older state behind a newer one.
        """
        for partition in self.table.outrun.values():
            self.doubt(partition)
        self.table.outrun.clear()
        found = [partition for partition, at in self.doubts.items() if at <= since]
        for partition in found:
            del self.doubts[partition]
        return found

    def everything(self, partition: int) -> list[Row]:
        """The changelog's rows of all that is known of a partition."""
        marks = _clock_key(partition)
        return [
            Row(key, value)
            for key, value in self.table.items()
            if (key == marks if key.startswith(CLOCK) else _decode(value)[0] == partition)
        ]


def _clock_key(partition: int) -> bytes:
    return CLOCK + b"%d" % partition


def _pairs(marks: list[Mark]) -> bytes:
    return _packed([tuple(mark) for mark in marks])


def _encode(partition: int, state: Accumulation) -> bytes:
    window = tuple(state.window) if state.window else None
    return _packed([partition, state.absorbed, window, state.weights])


def _packed(value: list[Any]) -> bytes:
    """To be kept: what orjson 3.13 returns takes 4 KiB however short it is, a copy takes its length."""
    return memoryview(orjson.dumps(value)).tobytes()


def _decode(value: bytes) -> tuple[int, Accumulation]:
    partition, absorbed, window, weights = orjson.loads(value)
    return partition, Accumulation(absorbed, Window(*window) if window else None, tuple(weights) if weights else None)
