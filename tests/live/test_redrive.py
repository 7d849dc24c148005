"""Dead letters through the pipeline again: once, in order, with their history; and rows that can be rebuilt."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.dead_letters import outgoing
from sinks.database import Pool, pool
from stack.settings import LLMProvider
from streams.dead_letters import DeadLetter, send
from streams.kafka import partition_of, producer, topics_of
from streams.positions import Position, event_id
from streams.records import Configure, Event
from tests.agents.llm.wire import MEMORY, messages_api, serving
from tests.api.conftest import MakeWorld, Serve, connected, serve
from tests.conftest import World
from tests.live.log import Sent, eventually, passed, read
from tests.live.log import send as publish

__all__ = ["serve"]
SINK = {"stage": "sink"}


def said(content: str, **fields: Any) -> bytes:
    return Event(event_type="message.in", content=content, **fields).value()


async def select(rows: Pool, query: str) -> list[dict[str, Any]]:
    async with rows.connection() as connection:
        return await (await connection.execute(query)).fetchall()


async def sunk(rows: Pool, world: World) -> None:
    topics = topics_of(world.settings)
    await passed(rows, world.settings, "sink", [topics.events.name, topics.memories.name])
    await passed(rows, world.settings, "sink", [topics.dead_letters.name])


async def redrive(http: httpx.AsyncClient, **selection: Any) -> list[dict[str, Any]]:
    answer = await http.post("/dead-letters/redrive", json=selection)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def letters(http: httpx.AsyncClient, **wanted: Any) -> list[dict[str, Any]]:
    found = (await http.get("/dead-letters", params=wanted)).json()
    assert found["total"] == len(found["items"])
    items: list[dict[str, Any]] = found["items"]
    return items


@pytest.fixture
async def strict(make_world: MakeWorld) -> World:
    """Three events of wren and one of robin have been refused: neither anima was there."""
    world = await make_world(strict_animas=True)
    records = [Sent(b"wren", said(f"said {n}")) for n in range(3)] + [Sent(b"robin", said("who?"))]
    await publish(world.settings, records)
    world.stage("sink")
    async with pool(world.settings) as rows:
        await sunk(rows, world)
    return world


async def create(world: World, *names: bytes) -> None:
    await publish(world.settings, [Sent(name, Configure(name=name.decode()).value()) for name in names])


async def test_after_the_fix_each_becomes_one_event_in_its_order(strict: World, serve: Serve) -> None:
    http, topic = await connected(await serve(strict.settings)), topics_of(strict.settings).events.name
    async with pool(strict.settings) as rows:
        await create(strict, b"wren")
        [original, *_] = [one for one in await read(strict.settings, topic) if one.key == b"wren"]
        done = await redrive(http, **SINK, reason="strict_animas")
        await sunk(rows, strict)
        events = await select(
            rows, 'SELECT id, partition, "offset", seq, content, recorded_at FROM events ORDER BY seq'
        )
    assert [one["content"] for one in events] == ["said 0", "said 1", "said 2"]
    positions = [str(Position(topic, one["partition"], one["offset"])) for one in events]
    assert [one["position"] for one in done if one["position"] in positions] == positions
    assert len(done) == 4
    anima = (await http.get("/animas/search", params={"name": "wren"})).json()[0]["id"]
    assert events[0]["id"] == event_id(UUID(anima), original.partition, original.offset, None)
    assert round(events[0]["recorded_at"].timestamp() * 1000) == original.timestamp
    sent = {f"{topic}/{one.partition}/{one.offset}": one for one in await read(strict.settings, topic) if one.headers}
    assert set(sent) == {one["position"] for one in done}
    first = dict(sent[positions[0]].headers)
    assert first == {"redrive-of": f"{topic}/{original.partition}/{original.offset}".encode(), "attempts": b"2"}
    assert (sent[positions[0]].value, sent[positions[0]].timestamp) == (original.value, original.timestamp)


async def test_what_fails_again_has_a_history(strict: World, serve: Serve) -> None:
    http = await connected(await serve(strict.settings))
    [robin] = [one for one in await letters(http) if one["key"] == "robin"]
    async with pool(strict.settings) as rows:
        [once] = await redrive(http, ids=[robin["id"]])
        await sunk(rows, strict)
        [again] = [one for one in await letters(http, state="open") if one["key"] == "robin"]
        assert (again["attempts"], f"{again['topic']}/{again['partition']}/{again['offset']}") == (2, once["position"])
        await create(strict, b"robin")
        [twice] = await redrive(http, ids=[again["id"]])
        await sunk(rows, strict)
        assert [one["content"] for one in await select(rows, "SELECT content FROM events")] == ["who?"]
    for letter in (robin, again):
        history = (await http.get(f"/dead-letters/{letter['id']}")).json()["history"]
        assert [(one["attempt"], one["position"], one["note"], one["state"]) for one in history] == [
            (1, once["source"], once["position"], "redriven"),
            (2, once["position"], twice["position"], "redriven"),
        ]
        assert all("ELEPHANTASM_STRICT_ANIMAS" in one["reason"] for one in history)
    assert [one["attempts"] for one in await letters(http) if one["key"] == "robin"] == [2, 1]


async def test_clicks_at_the_same_moment_send_once(strict: World, serve: Serve) -> None:
    clients = [await connected(await serve(strict.settings)) for _ in range(2)]
    topic, named = topics_of(strict.settings).events.name, [one["id"] for one in await letters(clients[0])]
    await create(strict, b"wren", b"robin")
    answers = await asyncio.gather(*[one.post("/dead-letters/redrive", json={"ids": named}) for one in clients * 3])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    late = await clients[1].post("/dead-letters/redrive", json={"ids": named})
    assert late.status_code == 409
    assert "was redriven by local" in late.json()["detail"]
    assert await redrive(clients[1], **SINK) == []
    async with pool(strict.settings) as rows:
        await sunk(rows, strict)
        assert len(await select(rows, "SELECT FROM events")) == len(named) == 4
    assert len([one for one in await read(strict.settings, topic) if one.headers]) == 4


async def test_a_crash_before_it_is_noted_makes_no_second_event(strict: World, serve: Serve) -> None:
    """The process died between sending and noting: the letter is open still, and is redriven again."""
    http = await connected(await serve(strict.settings))
    await create(strict, b"wren", b"robin")
    [*originals] = await read(strict.settings, topics_of(strict.settings).events.name)
    async with producer(strict.settings) as kafka:
        for raw in (one for one in originals if one.value.startswith(b'{"kind":"event"')):
            lost = outgoing(DeadLetter.of(raw, "sink", "r"), raw.topic, strict.settings.partitions)
            await (await send(kafka, raw.topic, lost))
    assert len(await redrive(http, **SINK)) == 4
    async with pool(strict.settings) as rows:
        await sunk(rows, strict)
        found = await select(rows, "SELECT content FROM events ORDER BY content")
        assert [one["content"] for one in found] == ["said 0", "said 1", "said 2", "who?"]
        assert await select(rows, "SELECT sum(events)::int AS events FROM animas") == [{"events": 4}]
    assert await letters(http, state="open") == []


async def test_a_record_astray_goes_where_its_key_belongs(world: World, serve: Serve) -> None:
    http, home = await connected(await serve(world.settings)), partition_of(b"wren", world.settings.partitions)
    await publish(world.settings, [Sent(b"wren", said("astray"), partition=(home + 1) % 8)])
    for stage in ("sink", "index"):
        world.stage(stage)
    async with pool(world.settings) as rows:
        await sunk(rows, world)
        await redrive(http, reason="default PARTITIONER")
        await sunk(rows, world)
        await passed(rows, world.settings, "index", [topics_of(world.settings).events.name])
        assert len(await select(rows, "SELECT FROM documents")) == 1
        assert await select(rows, "SELECT partition, content FROM events") == [{"partition": home, "content": "astray"}]
    assert [one["state"] for one in await letters(http)] == ["redriven"]


async def test_an_emptied_database_comes_to_the_same_rows(strict: World, serve: Serve) -> None:
    http = await connected(await serve(strict.settings))
    await create(strict, b"wren")
    [robin] = [one for one in await letters(http) if one["key"] == "robin"]
    await http.post("/dead-letters/discard", json={"ids": [robin["id"]], "why": "nobody knows robin"})
    await redrive(http, **SINK)
    async with pool(strict.settings) as rows:
        await sunk(rows, strict)
        queries = [f"SELECT * FROM {table} ORDER BY 1" for table in ("dead_letters", "events", "animas")]
        before = [await select(rows, query) for query in queries]
        assert sorted(one["state"] for one in before[0]) == ["discarded", "redriven", "redriven", "redriven"]
        strict.workers[-1].terminate()
        strict.workers[-1].wait()
        await select_nothing(rows, "TRUNCATE progress, dead_letters, events, animas")
        strict.stage("sink")
        await sunk(rows, strict)
        assert [await select(rows, query) for query in queries] == before


async def select_nothing(rows: Pool, statement: str) -> None:
    async with rows.connection() as connection:
        await connection.execute(statement.encode())


async def test_a_window_that_was_refused_gets_its_memory(make_world: MakeWorld, serve: Serve) -> None:
    async with serving() as wire:
        world = await make_world(
            llm_provider=LLMProvider.anthropic, llm_base_url=wire.url, anthropic_api_key="k", token_weight=0.0,
            worker="api",
        )  # fmt: skip
        http, topics = await connected(await serve(world.settings)), topics_of(world.settings)
        for stage in ("score", "sink", "synthesize"):
            world.stage(stage)
        wire.will(messages_api("", stop="refusal"))
        async with pool(world.settings) as rows:
            await publish(world.settings, [Sent(b"wren", said(f"Parcel {n} left.")) for n in range(20)])

            async def refused() -> bool:
                return bool(await letters(http, stage="synthesize"))

            await eventually(refused, 60, "the model's refusal is a letter")
            wire.will(messages_api(json.dumps(MEMORY)))
            await publish(world.settings, [Sent(b"wren", said(f"Parcel {n} left.")) for n in range(20, 40)])

            async def remembered(count: int) -> bool:
                return len(await select(rows, "SELECT FROM memories")) == count

            await eventually(lambda: remembered(1), 60, "the next window has its memory")
            [done] = await redrive(http, stage="synthesize")
            assert done["position"].startswith(topics.triggers.name)
            await eventually(lambda: remembered(2), 60, "the refused window has its memory")
            found = await select(rows, "SELECT first_seq, last_seq, revision FROM memories ORDER BY first_seq")
            assert [tuple(one.values()) for one in found] == [(0, 19, 1), (20, 39, 1)]
            await sunk(rows, world)
            assert [one["state"] for one in await letters(http)] == ["redriven"]
