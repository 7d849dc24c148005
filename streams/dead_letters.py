"""Records that cannot be processed: their original bytes, with headers saying where from, why and how often tried."""

import asyncio
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from streams.positions import Position


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
        return cls(source, stage, reason[:2000], record.key, record.value, record.timestamp)

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
        headers = {name: value.decode() for name, value in record.headers}
        return cls(
            Position.parse(headers["source"]),
            headers["stage"],
            headers["reason"],
            record.key,
            record.value,
            int(headers["timestamp"]),
            int(headers["attempts"]),
        )


async def bury(producer: AIOKafkaProducer, topic: str, letters: list[DeadLetter]) -> None:
    """Returns when all are on the topic. Repeats after a crash carry the same source, by which readers know them."""
    deliveries = [
        await producer.send(
            topic, key=letter.key, value=letter.value, partition=letter.source.partition, headers=letter.headers()
        )
        for letter in letters
    ]
    await asyncio.gather(*deliveries)
