"""recovery: seconds from the start of a `score` process until it works, with a long changelog to read and with none."""

import asyncio
import time
from collections.abc import Iterator
from statistics import median
from uuid import UUID

from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import TopicPartition

from benchmarks.figure import Figure
from benchmarks.world import World, new_log, servers, worker
from stack.settings import Settings
from streams.app import faust_app
from streams.batching import Row, send_rows
from streams.kafka import producer, topics_of
from streams.offsets import Offsets
from streams.records import Tick
from tables.accumulation import Accumulation, Window
from tables.store import BEGINNING, AccumulationTable

ANIMAS = 25  # of a partition
POLL_S = 0.05
LIMIT_S = 300.0


def run(world: World) -> list[Figure]:
    count = world.size(400_000, 20_000)
    with servers(world) as settings:
        times: dict[int, list[float]] = {0: [], count: []}
        for number in range(world.runs):
            for records, took in times.items():
                log = new_log(settings, f"recovery{number}.{records}.")
                asyncio.run(_fill(log, records))
                with worker(log, "stage", "score") as stage:
                    asyncio.run(_working(log))
                    took.append(time.monotonic() - stage.started_s)
                world.say(f"{records:,} records on the changelog: works after {took[-1]:.1f} s")
    return [
        Figure(
            f"score works again, {count:,} records on its changelog", median(times[count]), "s",
            baseline=median(times[0]), baseline_name="an empty changelog",
            note=f"one worker process with every partition, {ANIMAS} animas in each; median of {world.runs}",
        )
    ]  # fmt: skip


async def _fill(settings: Settings, records: int) -> None:
    """States as a worker writes them, each anima's a little further every time; and a tick to work on."""
    topics, each = topics_of(settings), records // settings.partitions
    async with producer(settings) as kafka:
        for partition in range(settings.partitions):
            rows = _rows(settings, partition, each)
            await asyncio.gather(*await send_rows(kafka, topics.accumulation.name, partition, rows))
            await kafka.send_and_wait(topics.events.name, Tick(kind="tick").value(), partition=partition)


def _rows(settings: Settings, partition: int, count: int) -> Iterator[Row]:
    table = AccumulationTable(faust_app(settings, "score"), settings.partitions)
    for turn in range(count // (ANIMAS + 1)):
        state = Accumulation(turn, Window(0, turn, turn + 1, 40 * turn, 1_790_000_000_000))
        yield from table.write(partition, dict.fromkeys(map(UUID, _animas(partition)), state), [BEGINNING])


def _animas(partition: int) -> list[str]:
    return [f"00000000-0000-4000-8000-{partition * ANIMAS + number:012d}" for number in range(ANIMAS)]


async def _working(settings: Settings) -> None:
    """Until the stage has dealt with the log."""
    offsets, deadline = Offsets(settings), time.monotonic() + LIMIT_S
    try:
        while await _done(settings, offsets) < settings.partitions:
            if time.monotonic() > deadline:
                raise RuntimeError(f"score does not work after {LIMIT_S:g} s")
            await asyncio.sleep(POLL_S)
    finally:
        await offsets.stop()


async def _done(settings: Settings, offsets: Offsets) -> int:
    """Partitions of the log that the stage has dealt with."""
    topics = topics_of(settings)
    log = [TopicPartition(topics.events.name, number) for number in range(settings.partitions)]
    try:
        return sum(at > 0 for at in (await offsets.committed(topics.group("score"), log)).values())
    except GroupCoordinatorNotAvailableError:  # the broker's first group: its topic is being made
        return 0
