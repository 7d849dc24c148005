"""How far each stage is behind, in messages: what its group has committed against the ends of what it reads."""

import asyncio
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import TopicPartition

from stack.settings import Settings
from streams.kafka import connection, topics_of
from streams.topology import STAGES, Stage

LIMIT_S = 5.0


class Lag(NamedTuple):
    """One stage on one partition. `committed` is None before its first commit; it then has everything before it."""

    stage: str
    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


class Lags:
    """Reads the lag of every stage. One per process: connects at first use, and again after an error."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.topics = settings, topics_of(settings)
        self.admin: AIOKafkaAdminClient | None = None
        self.ends: AIOKafkaConsumer | None = None
        self.reading = asyncio.Lock()

    async def stop(self) -> None:
        admin, ends, self.admin, self.ends = self.admin, self.ends, None, None
        if ends is not None:
            await ends.stop()
        if admin is not None:
            await admin.close()

    async def read(self) -> list[Lag]:
        """In the order of the topology, then by topic and partition. Raises KafkaError."""
        complete = False
        async with self.reading:
            try:
                async with asyncio.timeout(LIMIT_S):
                    found = await self._read()
                complete = True
            except TimeoutError:
                raise KafkaTimeoutError(f"no answer within {LIMIT_S:g} s") from None
            finally:
                if not complete:
                    await self.stop()
        return found

    async def _read(self) -> list[Lag]:
        await self._connect()
        assert self.ends is not None
        partitions = sorted({tp for stage in STAGES for tp in self._partitions(stage)})
        first = await self.ends.beginning_offsets(partitions)
        ends = await self.ends.end_offsets(partitions)
        return [lag for stage in STAGES for lag in await self._of(stage, first, ends)]

    async def _connect(self) -> None:
        if self.admin is None:
            self.admin = AIOKafkaAdminClient(**connection(self.settings))
            await self.admin.start()
        if self.ends is None:
            self.ends = AIOKafkaConsumer(**connection(self.settings))
            await self.ends.start()

    def _partitions(self, stage: Stage) -> list[TopicPartition]:
        names = [topic.name for topic in stage.reads(self.topics)]
        return [TopicPartition(name, partition) for name in names for partition in range(self.settings.partitions)]

    async def _of(self, stage: Stage, first: dict[TopicPartition, int], ends: dict[TopicPartition, int]) -> list[Lag]:
        assert self.admin is not None
        group, partitions = self.topics.group(stage.name), self._partitions(stage)
        offsets = await self.admin.list_consumer_group_offsets(group, partitions=partitions)
        committed = {tp: offsets[tp].offset if tp in offsets else -1 for tp in partitions}
        return [
            Lag(
                stage.name, group, tp.topic, tp.partition, None if committed[tp] < 0 else committed[tp], ends[tp],
                max(0, ends[tp] - max(committed[tp], first[tp])),
            )
            for tp in sorted(partitions)
        ]  # fmt: skip


async def lag(settings: Settings) -> list[Lag]:
    """One reading, with a connection of its own. Raises KafkaError."""
    lags = Lags(settings)
    try:
        return await lags.read()
    finally:
        await lags.stop()
