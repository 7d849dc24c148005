"""Two Faust workers that count a log are killed or frozen: our consumer and the late acknowledgement lose nothing.

The table's values on the changelog that reach furthest are added up: what a third worker would start from. A worker
that was frozen before it sent its states sends them when it wakes, behind those of whoever took its place.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable

import orjson
import pytest

from stack.environment import variables
from streams.kafka import topics_of
from tables.store import CLOCK, furthest
from tests.conftest import World
from tests.live.faults import Workers
from tests.live.log import Sent, eventually, read, send

EVENTS, KEYS = 30_000, 200


UNCOORDINATED = """
import sys

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import GroupAuthorizationFailedError

from tests.live.counting import main


async def lookup(*_):
    raise eval(sys.argv[1])


AIOKafkaClient.coordinator_lookup = lookup
main()
"""
IDLE_FOR_AN_HOUR = """
from aiokafka.consumer.subscription_state import SubscriptionState

from tests.live.counting import main

SubscriptionState.fetcher_idle_time = property(lambda one: 0 if one._fetch_count else 3600)
main()
"""
TELLS_WHAT_IT_FETCHES = """
from aiokafka.consumer import fetcher

from tests.live.counting import main

parts = fetcher.PartitionRecords.__init__


def told(self, tp, *args, **kwargs):
    print("FETCHED", tp.topic, flush=True)
    parts(self, tp, *args, **kwargs)


fetcher.PartitionRecords.__init__ = told
main()
"""
RECOVERS_BY_HUNDREDS = """
from streams import lossless
from tables import store

from tests.live.counting import main

lossless.RECOVERY_RECORDS = 100
apply = store._Changelogged.apply_changelog_batch


def told(self, batch):
    batch = list(batch)
    for event in batch:
        print("RECOVERED", len(event.value), flush=True)
    apply(self, batch)


store._Changelogged.apply_changelog_batch = told
main()
"""
FAILURES = (
    # if the broker names no broker while the worker connects: it has just begun, or was frozen
    "AssertionError('Did we not perform bootstrap?')",
    # if the broker refuses for good
    "GroupAuthorizationFailedError()",
)


def counting(world: World, name: str, *program: str) -> "subprocess.Popen[bytes]":
    settings = world.settings.model_copy(update={"worker": name})
    settings.__pydantic_fields_set__.add("worker")
    with (world.folder / f"counting-{name}.log").open("ab") as log:
        command = [sys.executable, *(program or ("-m", "tests.live.counting"))]
        process = subprocess.Popen(command, env=os.environ | variables(settings), stdout=log, stderr=log)
    world.workers.append(process)
    return process


async def counted(world: World) -> int:
    found: dict[bytes, bytes] = {}
    for record in await read(world.settings, topics_of(world.settings).accumulation.name):
        if not record.key.startswith(CLOCK):
            found[record.key] = furthest(record.key, found.get(record.key, record.value), record.value)
    return sum(orjson.loads(value)[2][2] for value in found.values())


async def write(world: World, first: int, count: int) -> None:
    await send(world.settings, [Sent(b"anima-%d" % (number % KEYS), b"x") for number in range(first, first + count)])


async def test_killed_workers_count_every_event(world: World) -> None:
    await write(world, 0, EVENTS)
    workers = Workers(lambda name: counting(world, name))
    await workers.killed(4)

    async def complete() -> bool:
        return await counted(world) == EVENTS

    await workers.watched(complete, 120, "all is counted")


async def test_a_frozen_worker_loses_nothing(world: World) -> None:
    await write(world, 0, EVENTS)
    workers = Workers(lambda name: counting(world, name))

    async def begun() -> bool:
        return await counted(world) > 0

    await workers.watched(begun, 120, "both work")
    freezing = asyncio.ensure_future(workers.frozen("a", 12))
    await write(world, EVENTS, 5_000)
    await freezing

    async def complete() -> bool:
        return await counted(world) == EVENTS + 5_000

    await workers.watched(complete, 120, "all is counted")


async def test_a_worker_does_not_fetch_what_it_writes_to_the_changelog(world: World) -> None:
    """aiokafka would, up to megabytes of each partition, and keep it: nobody asks for it."""
    topics = topics_of(world.settings)
    counting(world, "a", "-c", TELLS_WHAT_IT_FETCHES)

    async def complete() -> bool:
        return await counted(world) == expected

    for expected in (2_000, 4_000):
        await write(world, expected - 2_000, 2_000)
        await eventually(complete, 60, f"{expected} are counted", every_s=0.3)
    fetched = (world.folder / "counting-a.log").read_text()
    assert f"FETCHED {topics.events.name}" in fetched
    assert f"FETCHED {topics.accumulation.name}" not in fetched


async def test_a_recovery_reads_the_changelog_in_small_polls(make_world: Callable[..., Awaitable[World]]) -> None:
    """The records of a large one take memory that does not come back: the states that stay are spread over it."""
    world = await make_world(partitions=1)
    await write(world, 0, KEYS)

    async def complete() -> bool:
        return await counted(world) == expected

    first, expected = counting(world, "a"), KEYS
    await eventually(complete, 60, "all is counted", every_s=0.3)
    first.kill()
    counting(world, "b", "-c", RECOVERS_BY_HUNDREDS)
    await write(world, 0, 1)
    expected += 1
    await eventually(complete, 60, "one more is counted", every_s=0.3)
    lines = (world.folder / "counting-b.log").read_text().splitlines()
    polls = [int(line.split()[1]) for line in lines if line.startswith("RECOVERED")]
    assert sum(polls) > KEYS  # states, and the clock's marks
    assert max(polls) <= 100


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_worker_that_can_join_no_group_ends(world: World, failure: str) -> None:
    """It is started again; one that lives on without partitions would not be."""
    worker = counting(world, "a", "-c", UNCOORDINATED, failure)

    async def ended() -> bool:
        return worker.poll() is not None

    await eventually(ended, 60, "the worker ends")
    assert worker.returncode == 70


async def test_a_spare_worker_takes_over_even_if_it_had_nothing_to_do_for_an_hour(
    make_world: Callable[..., Awaitable[World]],
) -> None:
    """aiokafka leaves the group of who does not poll for long; without partitions there is nothing to poll."""
    world, expected = await make_world(partitions=1), 0
    workers = Workers(lambda name: counting(world, name, "-c", IDLE_FOR_AN_HOUR))

    async def complete() -> bool:
        return await counted(world) == expected

    async def more() -> None:
        nonlocal expected
        await write(world, expected, 2_000)
        expected += 2_000
        await eventually(complete, 60, f"{expected} are counted", every_s=0.3)

    await more()
    for gone in "ab":  # one of them is the spare one
        workers.kill(gone)
        await more()
        workers.revive()
        await more()
