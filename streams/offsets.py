"""What Kafka knows of topics and groups: where partitions begin and end, how far a group is, who is in it."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.structs import TopicPartition

from stack.settings import Settings
from streams.kafka import connection


class Group(NamedTuple):
    """`state` in Kafka's words: Stable, PreparingRebalance, CompletingRebalance, Empty; Dead: never heard of."""

    state: str
    members: int


class Offsets:
    """Connects at first use, and again after `stop`. Every method raises KafkaError."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.connected: AsyncExitStack | None = None
        self.connecting = asyncio.Lock()

    async def stop(self) -> None:
        connected, self.connected = self.connected, None
        if connected is not None:
            await connected.aclose()

    async def first(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self._connect()
        return dict(await self.consumer.beginning_offsets(list(partitions)))

    async def end(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self._connect()
        return dict(await self.consumer.end_offsets(list(partitions)))

    async def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Without the partitions in which the group has committed nothing."""
        await self._connect()
        found = await self.admin.list_consumer_group_offsets(group, partitions=list(partitions))
        return {tp: known.offset for tp, known in found.items() if known.offset >= 0}

    async def group(self, name: str) -> Group:
        await self._connect()
        (answer,) = await self.admin.describe_consumer_groups([name])
        error, _, state, _, _, members, *_ = answer.groups[0]
        if error:
            raise for_code(error)(f"group {name}")
        return Group(state, len(members))

    async def _connect(self) -> None:
        async with self.connecting:
            if self.connected is not None:
                return
            async with AsyncExitStack() as opened:
                self.admin = AIOKafkaAdminClient(**connection(self.settings))
                opened.push_async_callback(self.admin.close)
                await self.admin.start()
                self.consumer = AIOKafkaConsumer(**connection(self.settings))
                opened.push_async_callback(self.consumer.stop)
                await self.consumer.start()
                self.connected = opened.pop_all()
