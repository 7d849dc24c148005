"""Two sinks that both believe they own a partition."""

import asyncio
import signal

from sinks import progress
from sinks.database import Pool
from streams.kafka import topics_of
from streams.records import Event
from tests.conftest import World
from tests.live.faults import Workers
from tests.live.log import Sent, ends, eventually, read, send

KEYS = [b"anima-%d" % number for number in range(20)]


async def say(world: World, first: int, count: int) -> None:
    records = (Sent(KEYS[n % 20], Event(event_type="m", content=str(n)).value()) for n in range(first, first + count))
    await send(world.settings, records)


async def reached(rows: Pool, world: World) -> bool:
    goals = {tp: end for tp, end in (await ends(world.settings, topics_of(world.settings).events.name)).items() if end}
    found = await progress.load(rows, "sink", goals)
    return found == goals


async def check(rows: Pool, world: World) -> None:
    """Rows are the log: each event once, its seq dense in log order."""
    log = await read(world.settings, topics_of(world.settings).events.name)
    async with rows.connection() as connection:
        query = 'SELECT key, e.partition, "offset", seq FROM events e JOIN animas a ON a.id = anima_id ORDER BY 2, 3'
        found = [tuple(row.values()) for row in await (await connection.execute(query)).fetchall()]
    following = dict.fromkeys((key.decode() for key in KEYS), -1)
    expected = []
    for record in log:
        key = record.key.decode()
        following[key] += 1
        expected.append((key, record.partition, record.offset, following[key]))
    assert found == expected


async def test_a_sink_that_was_frozen_and_wakes_up_late_writes_nothing_twice(world: World, rows: Pool) -> None:
    frozen = world.stage("sink", "a")
    await say(world, 0, 200)
    await eventually(lambda: reached(rows, world), 30, "the first owns every partition")
    writing = asyncio.ensure_future(say(world, 200, 8_000))
    await asyncio.sleep(0.1)  # the freeze hits somewhere in the batches under way
    frozen.send_signal(signal.SIGSTOP)
    await writing
    heir = world.stage("sink", "b")
    await eventually(lambda: reached(rows, world), 25, "the other has taken over")
    frozen.send_signal(signal.SIGCONT)
    for number in range(8_200, 10_200, 200):
        await say(world, number, 200)
    await eventually(lambda: reached(rows, world), 30, "all is written")
    await check(rows, world)
    assert heir.poll() is None


async def test_sinks_that_are_killed_write_each_event_once(world: World, rows: Pool) -> None:
    sinks = Workers.of(world, "sink")
    killing = asyncio.ensure_future(sinks.killed(3))
    count = 0
    while not killing.done():
        await say(world, count, 500)
        count += 500
    await killing
    await sinks.watched(lambda: reached(rows, world), 30, "all is written")
    await check(rows, world)
