"""SIGTERM in mid-work: what has begun is finished and committed, so that nothing of it is done again."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import orjson
from aiokafka.structs import TopicPartition

from sinks import progress
from sinks.database import Pool
from stack.settings import Settings
from streams.kafka import partition_of, producer, topics_of
from streams.offsets import Offsets
from streams.records import Event
from tables.store import CLOCK
from tests.conftest import World
from tests.live.log import eventually, read

KEYS = [b"anima-%d" % number for number in range(40)]


@asynccontextmanager
async def talking(settings: Settings) -> AsyncIterator[None]:
    """Every anima says something every few milliseconds."""

    async def talk() -> None:
        value = Event(event_type="message.in", content="word " * 20).value()
        topic = topics_of(settings).events.name
        async with producer(settings, linger_ms=0) as kafka:
            while True:
                for key in KEYS:
                    await kafka.send(topic, value, key, partition_of(key, settings.partitions))
                await asyncio.sleep(0.005)

    task = asyncio.ensure_future(talk())
    try:
        yield
    finally:
        task.cancel()


def partitions(settings: Settings) -> list[TopicPartition]:
    topic = topics_of(settings).events.name
    return [TopicPartition(topic, number) for number in range(settings.partitions)]


async def committed(settings: Settings, stage: str) -> dict[int, int]:
    """Offsets of the stage's group on the log, by partition, where it has begun."""
    offsets = Offsets(settings)
    try:
        found = await offsets.committed(topics_of(settings).group(stage), partitions(settings))
        return {tp.partition: offset for tp, offset in found.items() if offset}
    finally:
        await offsets.stop()


async def absorbed(settings: Settings) -> dict[int, int]:
    """Up to where the states on the changelog reach, by partition."""
    reached: dict[int, int] = {}
    for record in await read(settings, topics_of(settings).accumulation.name):
        if record.key.startswith(CLOCK):
            reached[int(record.key.removeprefix(CLOCK))] = max(offset for offset, _ in orjson.loads(record.value))
    return reached


async def written(settings: Settings, rows: Pool) -> dict[int, int]:
    """Up to where the sink's rows reach, by partition."""
    found = await progress.load(rows, "sink", partitions(settings))
    return {tp.partition: offset for tp, offset in found.items()}


async def stopped_at_work(world: World, stage: str, reached: Callable[[], Awaitable[dict[int, int]]]) -> None:
    before = await reached()
    worker = world.stage(stage)

    async def working() -> bool:
        return await reached() != before

    await eventually(working, 40, f"{stage} works")
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 30) == 0
    assert await committed(world.settings, stage) == await reached()


async def test_score_commits_all_that_it_has_absorbed(world: World) -> None:
    async with talking(world.settings):
        for _ in range(3):
            await stopped_at_work(world, "score", partial(absorbed, world.settings))


async def test_the_sink_commits_all_that_it_has_written(world: World, rows: Pool) -> None:
    async with talking(world.settings):
        for _ in range(2):
            await stopped_at_work(world, "sink", partial(written, world.settings, rows))
