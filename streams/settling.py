"""Waiting until everything that follows from a position is there.

Settled walks the topology. A stage has dealt with a position when its group's committed offset has passed it; what it
wrote is then on its output topics, below their end; so each next stage has to pass that end. Nothing but Kafka's own
offsets is read.
"""

import asyncio
from collections.abc import AsyncIterator

from aiokafka.structs import TopicPartition

from stack.settings import Settings
from streams.kafka import topics_of
from streams.offsets import Offsets
from streams.positions import Position
from streams.topology import STAGES

POLL_S = 0.1


class NotSettled(Exception):
    """Some stage has not come so far within the limit."""


class Settling:
    """Knows how far every stage has come. One per process, connected at first use."""

    def __init__(self, settings: Settings) -> None:
        self.topics, self.offsets = topics_of(settings), Offsets(settings)

    async def stop(self) -> None:
        await self.offsets.stop()

    async def wait(self, position: Position, limit_s: float) -> None:
        """Until every stage has dealt with everything up to `position`. Raises NotSettled after `limit_s` seconds."""
        behind = ""
        try:
            async with asyncio.timeout(limit_s):
                async for stage in self._walk(position):
                    behind = stage
        except TimeoutError:
            reason = f"not settled up to {position} within {limit_s:g} s: {behind} is behind; ask again"
            raise NotSettled(reason) from None

    async def _walk(self, position: Position) -> AsyncIterator[str]:
        """The stages, each before it is waited for."""
        partition, goals = position.partition, {position.topic: position.offset + 1}
        for stage in STAGES:
            yield stage.name
            wanted = {topic.name: goals[topic.name] for topic in stage.reads(self.topics) if topic.name in goals}
            await self._passed(stage.name, partition, wanted)
            for topic in stage.writes(self.topics):
                if topic.name not in (position.topic, self.topics.accumulation.name):
                    tp = TopicPartition(topic.name, partition)
                    goals[topic.name] = (await self.offsets.end([tp]))[tp]

    async def _passed(self, stage: str, partition: int, goals: dict[str, int]) -> None:
        group = self.topics.group(stage)
        wanted = {TopicPartition(topic, partition): goal for topic, goal in goals.items()}
        while True:
            committed = await self.offsets.committed(group, wanted)
            if all(committed.get(tp, 0) >= goal for tp, goal in wanted.items()):
                return
            await asyncio.sleep(POLL_S)
