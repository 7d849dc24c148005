"""The broker stops answering for longer than a session lasts, as when its machine pauses, and goes on.

Every connection stays open meanwhile: nothing but their own time-outs tells the workers. Each test has a broker of its
own, because whoever else used it would suffer too.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr

from stack.readiness import admin_step
from stack.settings import Settings
from streams.kafka import connection, topics_of
from streams.records import Memory
from tests.conftest import World, stack_settings
from tests.live.faults import SESSION_S, Broker, Workers
from tests.live.log import eventually, read, send
from tests.live.test_score import agrees, chatter, triggers

FREEZES_S = (1.5 * SESSION_S, 3 * SESSION_S)
LIMIT_S = 120
STAGES = ("score", "synthesize", "sink")


@pytest.fixture
async def broker(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    rule = {"event_weight": 0.07, "time_weight": 5.0, "threshold": 1.0}
    settings = stack_settings(tmp_path_factory.mktemp("frozen"), database=SecretStr(database), **rule)
    running = Broker(settings)
    await admin_step(settings, running.check)
    yield running
    running.stop()


@pytest.fixture
async def frozen_world(broker: Broker) -> AsyncIterator[World]:
    world = World(broker.settings, broker.settings.data_dir)
    yield world
    for process in world.workers:
        process.kill()
        process.wait()


@asynccontextmanager
async def speech(world: World) -> AsyncIterator[None]:
    """Events keep coming until the block ends."""
    dice, enough = random.Random(11), asyncio.Event()

    async def speak() -> None:
        while not enough.is_set():
            await send(world.settings, chatter(dice, 100))
            await asyncio.sleep(0.1)

    speaking = asyncio.ensure_future(speak())
    try:
        yield
    finally:
        enough.set()
        await speaking


async def members(settings: Settings, stage: str) -> int:
    """Of the stage's group, if it is stable."""
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        [answer] = await admin.describe_consumer_groups([topics_of(settings).group(stage)])
    finally:
        await admin.close()
    _, _, state, _, _, found, *_ = answer.groups[0]
    return len(found) if state == "Stable" else 0


async def remembered(settings: Settings) -> bool:
    """Each window that fired lies in one memory. One memory may hold several: a worker that has lost its partition goes
    on with what it has begun, and whoever claims first claims all that is before."""
    windows: defaultdict[UUID, set[tuple[int, int]]] = defaultdict(set)
    for record in await read(settings, topics_of(settings).memories.name):
        one = Memory.model_validate_json(record.value)
        windows[one.anima_id].add((one.first_offset, one.last_offset))
    return all(
        sum(first <= fired.first_offset and fired.last_offset <= last for first, last in windows[fired.anima_id]) == 1
        for fired in (await triggers(settings)).values()
    )


async def test_a_frozen_broker_costs_time_and_nothing_else(broker: Broker, frozen_world: World) -> None:
    """The triggers are those of the rule, each is in one memory, and in the end nobody has dropped out."""
    workers = [Workers.of(frozen_world, stage) for stage in STAGES]
    settings, known = frozen_world.settings, 0

    async def going_on() -> bool:
        return len(await triggers(settings)) > known

    async def complete() -> bool:
        for one in workers:
            one.revive()
        return await agrees(settings) and await remembered(settings)

    async def all_there() -> bool:
        return [await members(settings, stage) for stage in ("score", "synthesize")] == [2, 2]

    async with speech(frozen_world):
        for seconds in FREEZES_S:
            await eventually(going_on, LIMIT_S, "windows fire")
            await broker.frozen(seconds)
            known = len(await triggers(settings))
        await eventually(going_on, LIMIT_S, "windows fire after the last freeze")
    await eventually(complete, LIMIT_S, "every window of the rule is in a memory", every_s=1)
    await eventually(all_there, LIMIT_S, "both workers of each stage are in its group", every_s=1)
