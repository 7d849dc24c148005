"""A steady stream of events, for what takes minutes."""

import asyncio
import random
import time

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stack.settings import Settings
from streams.kafka import connection, partition_of, topics_of
from streams.records import Event
from tests.faults.telemetry import WORDS

ANIMAS = 2_000  # a few are busy: a tenth of the events are of a hundredth of them
TEXTS = 2_000  # so many different ones: vectors are kept by text, and the model is not what is looked at


class Stream:
    """A producer that keeps to its rate; what it cannot send while Kafka is away it sends later."""

    def __init__(self, settings: Settings, seed: int, per_s: float) -> None:
        self.settings, self.per_s, self.sent = settings, per_s, 0
        dice = random.Random(f"soak {seed}")
        self.keys = [b"soak-%04d" % number for number in range(ANIMAS)]
        self.values = [
            Event(event_type="message.in", author="Ines", content=" ".join(dice.choices(WORDS, k=15))).value()
            for _ in range(TEXTS)
        ]
        self.dice = dice

    async def run(self) -> None:
        begun = time.monotonic()
        while True:
            try:
                async with AIOKafkaProducer(
                    linger_ms=20, request_timeout_ms=60_000, **connection(self.settings)
                ) as kafka:
                    while True:
                        await self._catch_up(kafka, begun)
                        await asyncio.sleep(0.02)
            except KafkaError:
                await asyncio.sleep(0.5)

    async def _catch_up(self, kafka: AIOKafkaProducer, begun: float) -> None:
        due = int((time.monotonic() - begun) * self.per_s) - self.sent
        topic, deliveries = topics_of(self.settings).events.name, []
        for _ in range(min(due, 5_000)):
            key, value = self.keys[int(ANIMAS * self.dice.random() ** 2)], self.dice.choice(self.values)
            home = partition_of(key, self.settings.partitions)
            deliveries.append(await kafka.send(topic, value, key=key, partition=home))
        await asyncio.gather(*deliveries)
        self.sent += len(deliveries)
