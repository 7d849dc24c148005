"""Records that cannot be processed: their original bytes, with headers saying where from, why and how often tried."""

import asyncio
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from streams.positions import Position
from streams.records import LATEST
from streams.topics import LETTER_BYTES


@dataclass(frozen=True)
class DeadLetter:
    source: Position
    stage: str
    reason: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    attempts: int = 1

    @classmethod
    def of(cls, record: "ConsumerRecord[bytes, bytes]", stage: str, reason: str) -> "DeadLetter":
        source = Position(record.topic, record.partition, record.offset)
        key, value, size = record.key, record.value, len(record.key or b"") + len(record.value or b"")
        if size > LETTER_BYTES:  # compressed, it passed the topic's own limit
            key, value = None, None
            reason = f"{reason[:1900]} ({size:,} bytes, not copied: they stand in the log)"
        return cls(source, stage, reason[:2000], key, value, record.timestamp)

    def headers(self) -> list[tuple[str, bytes]]:
        return [
            ("source", str(self.source).encode()),
            ("stage", self.stage.encode()),
            ("reason", self.reason.encode(errors="replace")),
            ("timestamp", str(self.timestamp_ms).encode()),
            ("attempts", str(self.attempts).encode()),
        ]

    @classmethod
    def read(cls, record: "ConsumerRecord[bytes, bytes]") -> "DeadLetter":
        """From a record of the topic. Raises KeyError or ValueError if its headers are not ours."""
        headers = {name: (value or b"").decode() for name, value in record.headers}
        stage, at, attempts = headers["stage"], int(headers["timestamp"]), int(headers["attempts"])
        if "\x00" in stage or at > LATEST.timestamp() * 1000 or not 1 <= attempts < 2**31:
            raise ValueError(f"stage {stage[:80]!r}, timestamp {at} or attempts {attempts} is out of range")
        source, reason = Position.parse(headers["source"]), headers["reason"]
        return cls(source, stage, reason, record.key, record.value, at, attempts)


async def bury(producer: AIOKafkaProducer, topic: str, letters: list[DeadLetter]) -> None:
    """Returns when all are on the topic. Repeats after a crash carry the same source, by which readers know them."""
    await asyncio.gather(*[await _send(producer, topic, letter) for letter in letters])


async def _send(producer: AIOKafkaProducer, topic: str, letter: DeadLetter) -> Any:
    """The future of its delivery."""
    place, headers = {"partition": letter.source.partition}, letter.headers()
    if letter.key is None and letter.value is None:  # which send() refuses, though Kafka does not
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None, headers=headers)
        return await producer.send_batch(batch, topic, **place)
    return await producer.send(topic, key=letter.key, value=letter.value, headers=headers, **place)
