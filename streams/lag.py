"""How far each stage is behind, in messages: what its group has committed against the ends of what it reads."""

import asyncio
import time
from typing import NamedTuple

from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import TopicPartition

from stack.settings import Settings
from streams.kafka import topics_of
from streams.offsets import Group, Offsets
from streams.topology import STAGES, Stage

LIMIT_S = 5.0


class Lag(NamedTuple):
    """One stage on one partition, which holds what is from `first` on and before `end`."""

    stage: str
    group: str
    topic: str
    partition: int
    committed: int | None
    first: int
    end: int

    @property
    def next(self) -> int:
        """Where the group goes on. Before its first commit it has everything before it."""
        return self.first if self.committed is None else max(self.committed, self.first)

    @property
    def lag(self) -> int:
        return max(0, self.end - self.next)


class Reading(NamedTuple):
    """`at` on this machine's monotonic clock; groups by stage; lags in the order of the topology, topic, partition."""

    at: float
    groups: dict[str, Group]
    lags: list[Lag]


class Lags:
    """Reads the lag of every stage, one reading at a time."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.topics = settings, topics_of(settings)
        self.offsets = Offsets(settings)
        self.reading = asyncio.Lock()

    async def stop(self) -> None:
        await self.offsets.stop()

    async def read(self) -> Reading:
        """Raises KafkaError, within LIMIT_S whoever else is reading."""
        try:
            async with asyncio.timeout(LIMIT_S), self.reading:
                return await self._read()
        except TimeoutError:
            raise KafkaTimeoutError(f"no answer within {LIMIT_S:g} s") from None

    async def _read(self) -> Reading:
        complete = False
        try:
            found = await self._look()
            complete = True
        finally:
            if not complete:
                await self.stop()  # what was left unanswered is not waited for the next time
        return found

    async def _look(self) -> Reading:
        partitions = sorted({tp for stage in STAGES for tp in self._partitions(stage)})
        first, end = await asyncio.gather(self.offsets.first(partitions), self.offsets.end(partitions))
        # After the ends: what comes meanwhile is no lag of a stage that keeps up.
        committed, groups = await asyncio.gather(
            asyncio.gather(*(self._committed(stage) for stage in STAGES)),
            asyncio.gather(*(self.offsets.group(self.topics.group(stage.name)) for stage in STAGES)),
        )
        lags = [
            Lag(stage.name, self.topics.group(stage.name), tp.topic, tp.partition, of_stage.get(tp), first[tp], end[tp])
            for stage, of_stage in zip(STAGES, committed, strict=True)
            for tp in sorted(self._partitions(stage))
        ]
        by_stage = {stage.name: group for stage, group in zip(STAGES, groups, strict=True)}
        return Reading(time.monotonic(), by_stage, lags)

    def _partitions(self, stage: Stage) -> list[TopicPartition]:
        names = [topic.name for topic in stage.reads(self.topics)]
        return [TopicPartition(name, partition) for name in names for partition in range(self.settings.partitions)]

    async def _committed(self, stage: Stage) -> dict[TopicPartition, int]:
        return await self.offsets.committed(self.topics.group(stage.name), self._partitions(stage))


async def lags(settings: Settings) -> list[Lag]:
    """One reading, with a connection of its own. Raises KafkaError."""
    reader = Lags(settings)
    try:
        return (await reader.read()).lags
    finally:
        await reader.stop()
