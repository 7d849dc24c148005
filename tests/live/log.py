"""Writing to a log and reading it back, as any client would; and waiting for a condition."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from sinks import progress
from sinks.database import Pool
from stack.settings import Settings
from streams.kafka import connection, partition_of, producer, topics_of
from streams.positions import Position


class Sent(NamedTuple):
    """A record to be written. `partition` None: the key's own; `timestamp` None: now."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None
    timestamp: int | None = None


async def send(settings: Settings, records: Iterable[Sent]) -> list[Position]:
    """Where each of them stands."""
    topic = topics_of(settings).events.name
    async with producer(settings, linger_ms=5) as kafka:
        deliveries = [await _send(kafka, topic, one, settings.partitions) for one in records]
        written = await asyncio.gather(*deliveries)
    return [Position(one.topic, one.partition, one.offset) for one in written]


async def _send(kafka: Any, topic: str, one: Sent, partitions: int) -> Any:
    home = one.partition if one.partition is not None else partition_of(one.key or b"", partitions)
    if one.key is None and one.value is None:
        batch = kafka.create_batch()
        batch.append(key=None, value=None, timestamp=one.timestamp)
        return await kafka.send_batch(batch, topic, partition=home)
    return await kafka.send(topic, key=one.key, value=one.value, partition=home, timestamp_ms=one.timestamp)


async def ends(settings: Settings, topic: str) -> dict[TopicPartition, int]:
    async with AIOKafkaConsumer(**connection(settings)) as kafka:
        found = await kafka.end_offsets([TopicPartition(topic, number) for number in range(settings.partitions)])
    return dict(found)


async def read(settings: Settings, topic: str, since: Mapping[TopicPartition, int] | None = None) -> list[Any]:
    """Everything on a topic as it is now, or what came since these offsets, in the order of partition and offset."""
    starts = since or {}
    goals = {tp: end for tp, end in (await ends(settings, topic)).items() if end > starts.get(tp, 0)}
    if not goals:
        return []
    records: list[Any] = []
    async with AIOKafkaConsumer(auto_offset_reset="earliest", **connection(settings)) as kafka:
        kafka.assign(list(goals))
        for tp in goals:
            kafka.seek(tp, starts.get(tp, 0))
        while any([await kafka.position(tp) < end for tp, end in goals.items()]):
            for batch in (await kafka.getmany(timeout_ms=200)).values():
                records += batch
    return sorted(records, key=lambda record: (record.partition, record.offset))


async def eventually(condition: Callable[[], Awaitable[bool]], limit_s: float, what: str, every_s: float = 0.1) -> None:
    """Until `condition` holds; fails the test after `limit_s` seconds."""
    deadline = asyncio.get_running_loop().time() + limit_s
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {limit_s:g} s: {what}"
        await asyncio.sleep(every_s)


async def passed(rows: Pool, settings: Settings, stage: str, names: Sequence[str], limit_s: float = 40) -> None:
    """Until a stage has written what stands on these topics. What it writes to them meanwhile counts too."""

    async def caught_up() -> bool:
        goals = {tp: end for name in names for tp, end in (await ends(settings, name)).items() if end}
        reached = await progress.load(rows, stage, goals)
        return all(reached.get(tp, 0) >= end for tp, end in goals.items())

    await eventually(caught_up, limit_s, f"{stage} has caught up with {names}")
