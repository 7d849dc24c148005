"""SIGTERM in mid-work: what has begun is finished and committed, so that nothing of it is done again."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
from aiokafka.structs import TopicPartition
from pydantic import SecretStr

from agents.embeddings import minilm
from agents.ordered_pool import GRACE_S
from sinks import progress
from sinks.database import Pool, pool
from stack.settings import Settings
from streams import topology
from streams.kafka import partition_of, producer, topics_of
from streams.offsets import Offsets
from streams.positions import anima_of
from streams.records import Event
from tables.store import CLOCK
from tests.agents.embeddings.wire import embeddings
from tests.agents.llm.wire import MEMORY, Answer, Wire, chat_completions, held, serving, status
from tests.conftest import World, free_port
from tests.live.log import Sent, ends, eventually, passed, read, send

KEYS = [b"anima-%d" % number for number in range(40)]
# Under which name the stages that are plain aiokafka keep their progress.
PROGRESS = {"sink": "sink", "index": "index", "embed": f"embed {minilm.NAME}"}
WINDOW = 20  # events that make a window


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


def partitions(settings: Settings, stage: str) -> list[TopicPartition]:
    """Of the first topic that the stage reads."""
    topic = topology.stage(stage).reads(topics_of(settings))[0].name
    return [TopicPartition(topic, number) for number in range(settings.partitions)]


async def committed(settings: Settings, stage: str) -> dict[int, int]:
    """Offsets of the stage's group, by partition, where it has begun."""
    offsets = Offsets(settings)
    try:
        found = await offsets.committed(topics_of(settings).group(stage), partitions(settings, stage))
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


async def written(settings: Settings, rows: Pool, stage: str) -> dict[int, int]:
    """Up to where the stage's rows reach, by partition."""
    found = await progress.load(rows, PROGRESS[stage], partitions(settings, stage))
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


@pytest.mark.parametrize("stage", PROGRESS)
async def test_a_stage_commits_all_that_it_has_written(world: World, rows: Pool, stage: str) -> None:
    async with talking(world.settings):
        if stage != "sink":
            world.stage("sink")
        for _ in range(2):
            await stopped_at_work(world, stage, partial(written, world.settings, rows, stage))


@asynccontextmanager
async def asking(make_world: Callable[..., Any], stage: str, answer: Answer) -> AsyncIterator[tuple[World, Wire]]:
    """A worker of `stage` at its only work, the events of one window. Its provider was asked and gives `answer`."""
    async with serving() as wire:
        world: World = await make_world(
            llm_provider="openai",
            embedding_provider="openai",
            openai_api_key=SecretStr("secret"),
            llm_base_url=wire.url,
            token_weight=0.0,
        )
        said = [Event(event_type="message.in", content=f"Parcel {number} left.").value() for number in range(WINDOW)]
        await send(world.settings, [Sent(b"wren", text) for text in said])
        if stage == "synthesize":
            world.stage("score")
        world.stage("sink")
        async with pool(world.settings) as rows:
            await passed(rows, world.settings, "sink", [topics_of(world.settings).events.name])
        wire.will(answer)
        world.stage(stage)
        await asyncio.wait_for(wire.arrived.wait(), 40)
        yield world, wire


async def vectors(world: World) -> int:
    async with pool(world.settings) as rows, rows.connection() as connection:
        return len(await (await connection.execute("SELECT FROM vectors_1536")).fetchall())


async def memories(world: World) -> int:
    return len(await read(world.settings, topics_of(world.settings).memories.name))


@pytest.mark.parametrize(
    ("stage", "answer", "made", "count"),
    [("embed", embeddings(), vectors, WINDOW), ("synthesize", chat_completions(json.dumps(MEMORY)), memories, 1)],
)
async def test_a_reply_on_its_way_is_waited_for_and_used(
    make_world: Callable[..., Any], stage: str, answer: Answer, made: Callable[[World], Awaitable[int]], count: int
) -> None:
    gate = asyncio.Event()
    async with asking(make_world, stage, held(answer, gate)) as (world, wire):
        world.workers[-1].send_signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(GRACE_S + 1, gate.set)
        assert await asyncio.to_thread(world.workers[-1].wait, 30) == 0
        assert (len(wire.asked), await made(world)) == (1, count)
        [topic] = {tp.topic for tp in partitions(world.settings, stage)}
        there = {tp.partition: end for tp, end in (await ends(world.settings, topic)).items() if end}
        assert await committed(world.settings, stage) == there


@pytest.mark.parametrize("stage", ["embed", "synthesize"])
async def test_who_waits_to_ask_again_ends_and_leaves_it_to_the_next(
    make_world: Callable[..., Any], stage: str
) -> None:
    async with asking(make_world, stage, status(503, headers={"retry-after": "100"})) as (world, wire):
        world.workers[-1].send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(world.workers[-1].wait, 10) == 0
        assert (len(wire.asked), await committed(world.settings, stage)) == (1, {})


WREN = str(anima_of(b"wren"))


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/events", {"anima_id": WREN, "event_type": "message.in", "content": "The kettle is on."}, "content"),
        ("/packs/compile", {"anima_id": WREN, "query": "Which parcel left?"}, "pack_id"),
    ],
)
async def test_a_request_in_work_is_answered_and_stands_on_the_log(
    world: World, rows: Pool, path: str, body: dict[str, Any], name: str
) -> None:
    """It waits for a lock until the API waits for it. The answer and the record have `name` in common."""
    topic = topics_of(world.settings).events.name
    await send(world.settings, [Sent(b"wren", Event(event_type="message.in", content="A parcel left.").value())])
    world.stage("sink")
    await passed(rows, world.settings, "sink", [topic])
    before = await ends(world.settings, topic)
    port = free_port()
    process = world.run("api", "api", api_port=port, api_processes=1)

    async def answers() -> bool:
        try:
            return (await http.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def waits() -> bool:
        async with rows.connection() as connection:
            locks = "SELECT FROM pg_locks WHERE relation = 'animas'::regclass AND NOT granted"
            return bool(await (await connection.execute(locks)).fetchall())

    async def stops() -> bool:
        return "Waiting for connections to close" in (world.folder / "api.log").read_text()

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api", timeout=30) as http:
        await eventually(answers, 40, "the API is ready")
        async with rows.connection() as connection, connection.transaction():
            await connection.execute("LOCK TABLE animas")
            asked = asyncio.ensure_future(http.post(path, json=body))
            await eventually(waits, 10, "the request is in work")
            process.send_signal(signal.SIGTERM)
            await eventually(stops, 10, "the API waits for the request")
        answer = await asked
    assert answer.is_success
    assert await asyncio.to_thread(process.wait, 20) == -signal.SIGTERM  # uvicorn ends by the signal it was sent
    [record] = await read(world.settings, topic, before)
    assert orjson.loads(record.value)[name] == answer.json()[name]
