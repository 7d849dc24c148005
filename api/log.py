"""The API's way to the log: records out, positions back. A record is stored only when Kafka has acknowledged it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber

from api.errors import Problem, Unavailable
from stack.settings import Settings
from streams.decode import Undecodable, decode
from streams.kafka import producer, topics_of
from streams.positions import Position
from streams.records import Record

log = structlog.get_logger()
ACKNOWLEDGE_S = 10.0
RECONNECT_S = 1.0


@dataclass
class _Written:
    """A record as its readers will see it."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int = 0
    timestamp: int = 0


class Log:
    """Connects by itself, again and again, so that the API starts in any order with the broker."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.topic = settings, topics_of(settings).events.name
        self.producer: AIOKafkaProducer | None = None
        self.connecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.connecting = asyncio.ensure_future(self._connect())

    async def stop(self) -> None:
        if self.connecting:
            self.connecting.cancel()
            await asyncio.wait({self.connecting})
        if self.producer:
            await self.producer.stop()

    async def _connect(self) -> None:
        while True:
            candidate = producer(self.settings, request_timeout_ms=int(ACKNOWLEDGE_S * 1000), max_batch_size=262_144)
            try:
                await candidate.start()
            except KafkaError as error:
                log.warning("kafka away", error=repr(error))
                await candidate.stop()
                await asyncio.sleep(RECONNECT_S)
            except asyncio.CancelledError:
                await candidate.stop()
                raise
            else:
                self.producer = candidate
                return

    async def _start_afresh(self, broken: AIOKafkaProducer) -> None:
        """aiokafka counts records that the broker refused (this clock was ahead, say), and the broker does not: from
        then on it refuses all that this producer sends to the partition."""
        renew = self.producer is broken  # and not somebody else has by now
        if renew:
            self.producer = None
            self.connecting = asyncio.ensure_future(self._connect())
            await broken.stop()

    async def append(self, key: bytes, partition: int, records: Sequence[Record]) -> list[Position]:
        """The positions, in order, once every record is acknowledged.

        Raises Problem 422 for a record that the stages could not read: nothing is sent then. Raises Unavailable if
        Kafka is away, saying whether some of the records may be on the log.
        """
        values = [self._value(key, partition, record) for record in records]
        if (kafka := self.producer) is None:
            raise Unavailable("Kafka cannot be reached; nothing was stored")
        try:
            async with asyncio.timeout(ACKNOWLEDGE_S):
                deliveries = [
                    await kafka.send(self.topic, key=key, value=value, partition=partition) for value in values
                ]
                stored = await asyncio.gather(*deliveries)
        except (KafkaError, TimeoutError) as error:
            log.warning("not acknowledged", records=len(values), error=repr(error))
            if isinstance(error, OutOfOrderSequenceNumber):
                await self._start_afresh(kafka)
            reason = "Kafka did not acknowledge in time; some of it may be stored: repeat it with the same dedupe_key"
            raise Unavailable(reason) from None
        return [Position(one.topic, one.partition, one.offset) for one in stored]

    def _value(self, key: bytes, partition: int, record: Record) -> bytes:
        """The bytes to send, read back as every stage will read them."""
        value = record.value()
        try:
            decode(_Written(key, value, partition), self.settings.partitions)
        except Undecodable as reason:
            raise Problem(422, [{"field": "body", "reason": f"no stage could read this record: {reason}"}]) from None
        return value

    async def append_if_reachable(self, key: bytes, partition: int, record: Record) -> None:
        """For records that may be lost when Kafka is away."""
        try:
            await self.append(key, partition, [record])
        except Unavailable as error:
            log.warning("not recorded", kind=type(record).__name__, error=repr(error))

    async def reachable(self) -> bool:
        """Whether a broker answers now."""
        if self.producer is None:
            return False
        try:
            async with asyncio.timeout(2):
                await self.producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError):
            return False
        return True
