"""Waiting until everything that follows from a position is there.

Settled walks the topology. A stage has dealt with a position when its group's committed offset has passed it; what it
wrote is then on its output topics, below their end; so each next stage has to pass that end. Nothing but Kafka's own
offsets is read.
"""

import asyncio

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from stack.settings import Settings
from streams.kafka import connection, topics_of
from streams.positions import Position
from streams.topology import STAGES

POLL_S = 0.1


class NotSettled(Exception):
    """Some stage has not come so far within the limit."""


class Settling:
    """Knows how far every stage has come. One per process, connected at first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.topics = settings, topics_of(settings)
        self.admin: AIOKafkaAdminClient | None = None
        self.ends: AIOKafkaConsumer | None = None
        self.connecting = asyncio.Lock()

    async def stop(self) -> None:
        if self.admin is not None:
            await self.admin.close()
        if self.ends is not None:
            await self.ends.stop()

    async def wait(self, position: Position, limit_s: float) -> None:
        """Until every stage has dealt with everything up to `position`. Raises NotSettled after `limit_s` seconds."""
        try:
            async with asyncio.timeout(limit_s):
                await self._connect()
                await self._walk(position)
        except TimeoutError:
            raise NotSettled(f"not settled up to {position} within {limit_s:g} s; ask again") from None

    async def _connect(self) -> None:
        async with self.connecting:
            if self.admin is None:
                admin = AIOKafkaAdminClient(**connection(self.settings))
                await admin.start()
                self.admin = admin
            if self.ends is None:
                ends = AIOKafkaConsumer(**connection(self.settings))
                await ends.start()
                self.ends = ends

    async def _walk(self, position: Position) -> None:
        partition, goals = position.partition, {position.topic: position.offset + 1}
        for stage in STAGES:
            wanted = {topic.name: goals[topic.name] for topic in stage.reads(self.topics) if topic.name in goals}
            await self._passed(stage.name, partition, wanted)
            for topic in stage.writes(self.topics):
                if topic.name not in (position.topic, self.topics.accumulation.name):
                    goals[topic.name] = await self._end(topic.name, partition)

    async def _passed(self, stage: str, partition: int, goals: dict[str, int]) -> None:
        assert self.admin is not None
        group = self.topics.group(stage)
        partitions = [TopicPartition(topic, partition) for topic in goals]
        while True:
            committed = await self.admin.list_consumer_group_offsets(group, partitions=partitions)
            if all(committed[tp].offset >= goals[tp.topic] for tp in partitions):
                return
            await asyncio.sleep(POLL_S)

    async def _end(self, topic: str, partition: int) -> int:
        assert self.ends is not None
        tp = TopicPartition(topic, partition)
        return int((await self.ends.end_offsets([tp]))[tp])
