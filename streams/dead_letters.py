"""The topic of dead letters: records that could not be processed, and what an operator decided about them.

A letter holds the record's original key and bytes, with headers that say where it stood, who gave up, why, and how
often it was tried. A decision is headers alone and stands behind its letter in the same partition, so that whoever
reads the topic anew knows the state of each letter. Nothing on it is ever changed.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid5

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from streams.positions import Position
from streams.records import LATEST
from streams.redrive import Attempt, Headers, redriven
from streams.topics import LETTER_BYTES

REASON_CHARACTERS = 2000
Delivery = asyncio.Future[Any]
_LETTERS = UUID("5e0c1f5b-9f7e-4b0e-8d5f-6c1f0f7c2a11")


class NotOurs(ValueError):
    """A record of the topic that is neither a letter nor a decision."""


class Outgoing(NamedTuple):
    """A record to be sent. `timestamp_ms` None: now."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None = None


@dataclass(frozen=True)
class DeadLetter:
    """`first` is where the record stood at its first attempt; None: at `source`. `failed_ms`: the letter's own time."""

    source: Position
    stage: str
    reason: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    attempts: int = 1
    first: Position | None = None
    failed_ms: int | None = None

    @classmethod
    def of(cls, record: "ConsumerRecord[bytes, bytes]", stage: str, reason: str) -> "DeadLetter":
        source = Position(record.topic, record.partition, record.offset)
        key, value, size = record.key, record.value, len(record.key or b"") + len(record.value or b"")
        if size > LETTER_BYTES:  # compressed, it passed the topic's own limit
            key, value = None, None
            reason = f"{reason[:1900]} ({size:,} bytes, not copied: they stand in the log)"
        again = redriven(record)
        first, attempts = again or (None, 1)
        return cls(source, stage, reason[:REASON_CHARACTERS], key, value, record.timestamp, attempts, first)

    @property
    def id(self) -> UUID:
        return letter_id(self.source, self.stage)

    def again(self) -> Attempt:
        """The next one."""
        return Attempt(self.first or self.source, self.attempts + 1)

    def headers(self) -> Headers:
        headers = [
            ("source", str(self.source).encode()),
            ("stage", self.stage.encode()),
            ("reason", self.reason.encode(errors="replace")),
            ("timestamp", str(self.timestamp_ms).encode()),
            ("attempts", str(self.attempts).encode()),
        ]
        return headers if self.first is None else [*headers, ("first", str(self.first).encode())]


class Verdict(StrEnum):
    redriven = "redriven"
    discarded = "discarded"


@dataclass(frozen=True)
class Decision:
    """What was decided about the letter of `source` and `stage`. `note`: where the redriven record stands, or why the
    letter was discarded.
    """

    source: Position
    stage: str
    verdict: Verdict
    by: str
    note: str
    timestamp_ms: int | None = None

    @property
    def letter(self) -> UUID:
        return letter_id(self.source, self.stage)

    def headers(self) -> Headers:
        return [
            ("decision", self.verdict.encode()),
            ("source", str(self.source).encode()),
            ("stage", self.stage.encode()),
            ("by", self.by.encode()),
            ("note", self.note.encode(errors="replace")),
        ]


def letter_id(source: Position, stage: str) -> UUID:
    """One stage buries one record once, however often it says so."""
    return uuid5(_LETTERS, f"{stage}/{source}")


def read(record: "ConsumerRecord[bytes, bytes]") -> DeadLetter | Decision:
    """From a record of the topic. Raises NotOurs."""
    try:
        headers = {name: (value or b"").decode() for name, value in record.headers}
        source, stage = Position.parse(headers["source"]), headers["stage"]
        if "\x00" in stage:
            raise ValueError(f"stage {stage[:80]!r} contains NUL")
        if "decision" in headers:
            verdict = Verdict(headers["decision"])
            return Decision(source, stage, verdict, headers["by"], headers["note"], record.timestamp)
        return _letter(record, source, stage, headers)
    except KeyError as missing:
        raise NotOurs(f"no header {missing}") from None
    except ValueError as error:
        raise NotOurs(str(error)) from None


def _letter(
    record: "ConsumerRecord[bytes, bytes]", source: Position, stage: str, headers: dict[str, str]
) -> DeadLetter:
    at, attempts = int(headers["timestamp"]), int(headers["attempts"])
    if at > LATEST.timestamp() * 1000 or not 1 <= attempts < 2**31:
        raise ValueError(f"timestamp {at} or attempts {attempts} is out of range")
    first = Position.parse(headers["first"]) if "first" in headers else None
    reason, failed = headers["reason"], record.timestamp
    return DeadLetter(source, stage, reason, record.key, record.value, at, attempts, first, failed)


async def bury(producer: AIOKafkaProducer, topic: str, letters: list[DeadLetter]) -> None:
    """Returns when all are on the topic. Repeats after a crash carry the same source, by which readers know them."""
    records = [Outgoing(one.source.partition, one.key, one.value, one.headers()) for one in letters]
    await asyncio.gather(*[await send(producer, topic, record) for record in records])


async def decide(producer: AIOKafkaProducer, topic: str, decisions: list[Decision]) -> list[Position]:
    """Returns when all are on the topic, with their positions."""
    records = [Outgoing(one.source.partition, None, b"", one.headers()) for one in decisions]
    sent = await asyncio.gather(*[await send(producer, topic, record) for record in records])
    return [Position(one.topic, one.partition, one.offset) for one in sent]


async def send(producer: AIOKafkaProducer, topic: str, record: Outgoing) -> Delivery:
    """The future of its delivery."""
    place, at, headers = {"partition": record.partition}, record.timestamp_ms, record.headers
    if record.key is None and record.value is None:  # which send() refuses, though Kafka does not
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=at, headers=headers)
        return cast(Delivery, await producer.send_batch(batch, topic, **place))
    sent = producer.send(topic, key=record.key, value=record.value, timestamp_ms=at, headers=headers, **place)
    return cast(Delivery, await sent)
