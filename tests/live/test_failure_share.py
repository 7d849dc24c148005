"""A stage in which most records fail stops: with a reason, with nothing passed or buried, until it is told to go on."""

import subprocess
from typing import Any

from aiokafka import AIOKafkaProducer

from sinks import progress
from sinks.database import Pool
from stack.settings import Settings
from streams.failure_share import LEAST
from streams.kafka import connection, topics_of
from streams.records import Event
from tests.api.conftest import Serve, connected, serve
from tests.conftest import World
from tests.live.log import Sent, ends, eventually, passed, read, send

__all__ = ["serve"]
GOOD = Event(event_type="message.in", content="x").value()


def willing(world: World) -> World:
    """The same world for a process that buries whatever fails."""
    settings = world.settings.model_copy(update={"failure_share": 1.0})
    settings.__pydantic_fields_set__.add("failure_share")
    return World(settings, world.folder, world.workers)


async def ended(process: "subprocess.Popen[bytes]") -> int:
    async def over() -> bool:
        return process.poll() is not None

    await eventually(over, 90, "the stage stops by itself")
    return process.returncode


async def reached(rows: Pool, settings: Settings, topic: str) -> dict[Any, int]:
    return await progress.load(rows, "sink", await ends(settings, topic))


async def test_the_sink_stops_where_most_is_poison_and_drains_when_told_to(
    world: World, rows: Pool, serve: Serve
) -> None:
    topics, http = topics_of(world.settings), await connected(await serve(world.settings))
    await send(world.settings, [Sent(b"wren", GOOD)] * 20)
    first = world.stage("sink")
    await passed(rows, world.settings, "sink", [topics.events.name])
    first.terminate()
    first.wait()
    before = await reached(rows, world.settings, topics.events.name)
    await send(world.settings, [Sent(b"wren", b"{no json"), Sent(b"robin", b"{no json")] * 150)
    for _ in range(2):  # the process manager starts it again
        assert await ended(world.stage("sink")) == 1
        assert await reached(rows, world.settings, topics.events.name) == before
        assert await read(world.settings, topics.dead_letters.name) == []
    log = (world.folder / "sink-1.log").read_text()
    assert "sink stopped: 300 of the last 3" in log
    assert "Last reasons: not JSON" in log
    assert "set ELEPHANTASM_FAILURE_SHARE=1" in log
    report = (await http.get("/health")).json()
    assert report["status"] == "degraded"
    assert report["missing"][0].startswith("sink stopped: 300 of the last 3")
    assert (await http.get("/readyz")).status_code == 200
    willing(world).stage("sink")
    await passed(rows, world.settings, "sink", [topics.events.name, topics.dead_letters.name], limit_s=60)
    assert len(await read(world.settings, topics.dead_letters.name)) == 300
    assert (await http.get("/health")).json()["status"] == "ok"


async def test_a_sink_that_stopped_goes_on_when_records_are_good_again(world: World, rows: Pool) -> None:
    """The run with which it stopped does not hold up a batch that can be processed."""
    topics = topics_of(world.settings)
    async with rows.connection() as connection:
        await connection.execute(
            "INSERT INTO stops (stage, records, failures, reason) VALUES ('sink', 1000, 1000, 'r')"
        )
    await send(world.settings, [Sent(b"wren", GOOD)] * 5 + [Sent(b"wren", b"{no json")])
    world.stage("sink")
    await passed(rows, world.settings, "sink", [topics.events.name])
    async with rows.connection() as connection:
        assert await (await connection.execute("SELECT FROM stops")).fetchall() == []


async def test_synthesize_stops_where_most_triggers_fail(world: World, rows: Pool) -> None:
    topics = topics_of(world.settings)
    async with AIOKafkaProducer(**connection(world.settings)) as kafka:
        for number in range(3 * LEAST):
            await kafka.send(topics.triggers.name, b"{no json", key=b"%d" % number, partition=number % 8)
    for _ in range(2):
        assert await ended(world.stage("synthesize")) == 70
        buried = {dict(one.headers)["source"] for one in await read(world.settings, topics.dead_letters.name)}
        assert len(buried) < LEAST
    assert "synthesize stopped: 100 of the last 100" in (world.folder / "synthesize-1.log").read_text()
    willing(world).stage("synthesize")

    async def drained() -> bool:
        letters = await read(world.settings, topics.dead_letters.name)
        return len({dict(one.headers)["source"] for one in letters}) == 3 * LEAST

    await eventually(drained, 60, "every trigger is a dead letter")

    async def cleared() -> bool:
        async with rows.connection() as connection:
            return not await (await connection.execute("SELECT FROM stops")).fetchall()

    await eventually(cleared, 10, "it no longer counts as stopped")
