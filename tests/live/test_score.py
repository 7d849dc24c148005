"""The stage `score` on a real log: its triggers are those that the pure rule computes from the log read back."""

import asyncio
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from agents.score import rule_of, trigger
from agents.tokens import count_tokens
from stack.settings import Settings
from streams.decode import decode
from streams.kafka import connection, partition_of, producer, topics_of
from streams.positions import anima_of
from streams.records import Configure, Event, SynthesisTrigger, Weights
from tables.accumulation import Accumulation
from tables.fold import Timers, fold
from tests.conftest import World
from tests.live.faults import Workers
from tests.live.log import Sent, ends, eventually, read, send

KEYS = [b"anima-%d" % number for number in range(40)]
SOON = Weights(time_weight=5, event_weight=0.498, token_weight=0, threshold=1)  # two events, and 2.9 s later it is due


def said(content: str = "x") -> bytes:
    return Event(event_type="message.in", content=content).value()


async def expected(settings: Settings) -> dict[Any, SynthesisTrigger]:
    """By id: the rule folded over the whole log as it is now, a partition at a time."""
    log = await read(settings, topics_of(settings).events.name)
    found: dict[Any, SynthesisTrigger] = {}
    for partition in range(settings.partitions):
        batch = [record for record in log if record.partition == partition]
        decoding = partial(decode, partitions=settings.partitions)
        folded = fold(batch, 0, lambda _: Accumulation(), Timers(), rule_of(settings), decoding, count_tokens)
        made = [trigger(anima, partition, fired) for anima, fired in folded.fired]
        found |= {one.id: one for one in made}
    return found


async def triggers(settings: Settings) -> dict[Any, SynthesisTrigger]:
    """By id, as emitted. A repeat must say the same."""
    found: dict[Any, SynthesisTrigger] = {}
    for record in await read(settings, topics_of(settings).triggers.name):
        one = SynthesisTrigger.model_validate_json(record.value)
        assert found.setdefault(one.id, one) == one
        assert record.key == str(one.anima_id).encode()
    return found


async def agrees(settings: Settings) -> bool:
    emitted = await triggers(settings)
    return emitted == await expected(settings)


async def ticks(settings: Settings) -> int:
    return sum(b'"tick"' in record.value for record in await read(settings, topics_of(settings).events.name))


async def lengths(settings: Settings) -> list[dict[Any, int]]:
    return [await ends(settings, topic.name) for topic in topics_of(settings).all()]


def chatter(dice: random.Random, count: int) -> list[Sent]:
    """Events of unequal animas and lengths, some a minute late, now and then a change of weights or rubbish."""
    records = []
    for _ in range(count):
        key = dice.choice(KEYS[: dice.choice([3, 40])])
        value = said("word " * dice.choice([1, 20, 300]))
        if dice.random() < 0.01:
            value = dice.choice([Configure(weights=SOON).value(), Configure(weights=None).value(), b"rubbish"])
        late = dice.choice([0, 0, 0, dice.randrange(60_000)])
        records.append(Sent(key, value, None, int(time.time() * 1000) - late))
    return records


async def test_killed_workers_cut_the_windows_of_the_rule(make_world: Callable[..., Any]) -> None:
    world: World = await make_world(event_weight=0.07, time_weight=5.0, threshold=1.0, window_tokens=2_000)
    dice = random.Random(7)
    workers = Workers.of(world, "score")
    await send(world.settings, [Sent(b"magpie", said("word " * 300))] * 7)  # the seventh exceeds a window's tokens
    killing = asyncio.ensure_future(workers.killed(3))
    while not killing.done():
        await send(world.settings, chatter(dice, 150))
        await asyncio.sleep(0.1)
    await killing
    await workers.watched(lambda: agrees(world.settings), 40, "the triggers are those of the rule")
    found = await triggers(world.settings)
    assert {one.reason for one in found.values()} == {"score", "window_tokens"}
    assert len(found) > 100


async def test_time_alone_fires_a_window_with_one_tick(world: World) -> None:
    world.stage("score")
    await send(world.settings, [Sent(b"wren", Configure(weights=SOON).value()), *[Sent(b"wren", said())] * 2])

    async def fired() -> bool:
        return bool(await triggers(world.settings))

    await eventually(fired, 40, "the window fires")
    [one] = (await triggers(world.settings)).values()
    log = await read(world.settings, topics_of(world.settings).events.name)
    assert (one.anima_id, one.first_offset, one.last_offset, one.events) == (anima_of(b"wren"), 1, 2, 2)
    assert 2_800 < one.fired_at.timestamp() * 1000 - log[1].timestamp < 3_000
    before = await lengths(world.settings)
    await world_has_gone_on(world)
    assert await ticks(world.settings) == 1
    assert await lengths(world.settings) != before
    assert await agrees(world.settings)


async def world_has_gone_on(world: World) -> None:
    """Another anima's window has come and gone by itself: whatever else was to be written has been written."""
    already = len(await triggers(world.settings))
    await send(world.settings, [Sent(b"robin", said("word " * 300))] * 30)

    async def fired() -> bool:
        return len(await triggers(world.settings)) > already

    await eventually(fired, 30, "another window fires")


async def test_an_idle_log_stays_as_it_is(world: World) -> None:
    await send(world.settings, [Sent(b"wren", said()), Sent(b"robin", said("word " * 300))])
    world.stage("score")
    await world_has_gone_on(world)
    before = await lengths(world.settings)
    worker = world.stage("score", "2")
    for _ in range(10):
        assert await lengths(world.settings) == before
        await asyncio.sleep(0.2)
    await send(world.settings, [Sent(key, said("word " * 300)) for key in KEYS] * 30)
    await eventually(partial(agrees, world.settings), 30, "after the rebalance both go on")
    assert worker.poll() is None


async def agrees_with(world: World, count: int) -> bool:
    return len(await triggers(world.settings)) == count and await agrees(world.settings)


async def test_a_transaction_s_end_does_not_hide_the_end_of_the_log(world: World) -> None:
    """Java producers write in transactions; the marker behind their records takes an offset and is no record."""
    world.stage("score")
    topic = topics_of(world.settings).events.name
    async with AIOKafkaProducer(transactional_id=topic, **connection(world.settings)) as kafka, kafka.transaction():
        await kafka.send(topic, Configure(weights=SOON).value(), b"wren", 1)
        for _ in range(2):
            await kafka.send(topic, said(), b"wren", 1)
    await eventually(lambda: agrees_with(world, 1), 40, "the window fires")
    assert await ticks(world.settings) == 1


async def last_states(settings: Settings) -> dict[bytes, bytes]:
    """What compaction would leave of the changelog."""
    return {record.key: record.value for record in await read(settings, topics_of(settings).accumulation.name)}


async def test_what_a_worker_wrote_that_had_lost_the_partition_does_not_stay_the_last(world: World) -> None:
    settings, wren = world.settings, KEYS[0]
    home, key = partition_of(wren, settings.partitions), anima_of(wren).bytes
    neighbour = next(name for name in KEYS[1:] if partition_of(name, settings.partitions) == home)
    world.stage("score")

    async def holds(name: bytes, events: int) -> bool:
        state = (await last_states(settings)).get(anima_of(name).bytes)
        return state is not None and orjson.loads(state)[2][2] == events

    await send(settings, [Sent(wren, said())])
    await eventually(lambda: holds(wren, 1), 40, "the first state")
    old = (await last_states(settings))[key]
    await send(settings, [Sent(wren, said())])
    await eventually(lambda: holds(wren, 2), 20, "the second state")
    async with producer(settings) as kafka:
        await kafka.send_and_wait(topics_of(settings).accumulation.name, old, key, home)
    await send(settings, [Sent(neighbour, said())])
    await eventually(lambda: holds(neighbour, 1), 20, "the owner has gone on")
    assert (await last_states(settings))[key] == old
    await eventually(lambda: holds(wren, 2), 40, "the owner has written its state again")
