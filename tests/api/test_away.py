"""Kafka or Postgres away: 503 that says when to come back, and everything goes on by itself afterwards."""

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiokafka.client
import httpx
import pytest
from pydantic import SecretStr

import api.context
import api.log
import api.waiting
import streams.lag
from stack.embedded import Stack
from tests.api.conftest import Anima, Serve, connected, eventually, on_stack
from tests.api.proxies import Door, to_port, to_postgres
from tests.conftest import free_port


def refuses(answer: httpx.Response, name: str) -> bool:
    """Whether the answer says that `name` is away, and when to come back."""
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1"), answer.text
    return name in answer.json()["detail"]


async def status(http: httpx.AsyncClient) -> tuple[int, list[str]]:
    answer = await http.get("/readyz")
    return answer.status_code, answer.json()["missing"]


def batch(anima: Anima) -> dict[str, Any]:
    return {"anima_id": anima.id, "events": [{"event_type": "a", "content": "x", "dedupe_key": "b"}]}


async def test_an_api_that_starts_before_kafka(stack: Stack, serve: Serve, anima: Anima) -> None:
    door = to_port(stack.settings.kafka_port, free_port())
    http = await serve(on_stack(stack, kafka=door.address))
    event = anima.event(dedupe_key="k")
    assert refuses(await http.post("/events", json=event), "Kafka")
    assert refuses(await http.post("/events/batch", json=batch(anima)), "Kafka")
    assert (await http.post("/packs/compile", json={"anima_id": anima.id})).status_code == 200
    assert refuses(await http.post("/animas", json={"name": "x"}), "Kafka")
    assert refuses(await http.put(f"/animas/{anima.id}/synthesis-config", json=WEIGHTS), "Kafka")
    assert refuses(await http.get("/lag"), "Kafka")
    assert await status(http) == (503, ["Kafka cannot be reached"])
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/health")).json()["status"] == "degraded"
    assert (await http.get("/events", params={"anima_id": anima.id})).json() == []
    await door.open()
    await connected(http)
    assert (await http.post("/events", json=event)).status_code == 201
    assert (await http.post("/events/batch", json=batch(anima))).status_code == 202
    assert (await http.get("/lag")).status_code == 200
    await door.shut()


async def test_an_api_that_stops_while_it_connects_leaves_nothing_open(stack: Stack) -> None:
    door = to_port(stack.settings.kafka_port, free_port())
    await door.open()
    door.jam()
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    kafka = api.log.Log(on_stack(stack, kafka=door.address))
    await kafka.start()
    await asyncio.sleep(0)  # it begins
    await kafka.stop()
    del kafka
    gc.collect()
    await door.shut()
    assert told == []


WEIGHTS = {"time_weight": 1, "event_weight": 1, "token_weight": 0, "threshold": 9}


@pytest.fixture
async def broker(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    """An open door to the session's broker, which every Kafka client of this process goes through."""
    door = to_port(stack.settings.kafka_port, free_port())
    port = int(door.address.rsplit(":", 1)[1])
    direct = aiokafka.client.create_conn

    async def through_the_door(host: str, _: int, **options: Any) -> Any:
        return await direct(host, port, **options)

    monkeypatch.setattr(aiokafka.client, "create_conn", through_the_door)
    await door.open()
    yield door
    await door.shut()


@pytest.mark.parametrize("how", ["jam", "shut"])
async def test_a_broker_that_goes_away(
    stack: Stack, serve: Serve, broker: Door, anima: Anima, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    http = await connected(await serve(on_stack(stack)))
    event = anima.event("Said once.", dedupe_key="k")
    with monkeypatch.context() as hurried:
        hurried.setattr(api.log, "ACKNOWLEDGE_S", 0.5)
        hurried.setattr(streams.lag, "LIMIT_S", 0.5)
        broker.jam() if how == "jam" else await broker.shut()
        assert refuses(await http.post("/events", json=event), "repeat it with the same dedupe_key")
        assert refuses(await http.post("/events/batch", json=batch(anima)), "repeat it with the same dedupe_key")
        assert refuses(await http.get("/lag"), "Kafka")
        assert await status(http) == (503, ["Kafka cannot be reached"])
    await broker.open()
    await connected(http)
    again = await http.post("/events", json=event)
    assert again.status_code in (200, 201)
    listed = (await http.get("/events", params={"anima_id": anima.id, "after": again.json()["position"]})).json()
    assert [one["content"] for one in listed] == ["Said once."]
    assert (await http.get("/lag")).status_code == 200


@pytest.fixture
async def door(stack: Stack) -> AsyncIterator[Door]:
    """An open door to the session's Postgres."""
    socket = stack.directory.path / "run" / "postgres" / ".s.PGSQL.5432"
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        door = to_postgres(socket, Path(folder))
        await door.open()
        yield door
        await door.shut()


@pytest.fixture
async def behind(stack: Stack, serve: Serve, door: Door) -> httpx.AsyncClient:
    """An API whose Postgres is behind the door."""
    database = SecretStr(door.address)
    return await connected(await serve(on_stack(stack, database=database, after_timeout_s=0.3)))


async def test_postgres_away_and_back(behind: httpx.AsyncClient, door: Door, anima: Anima) -> None:
    posted = (await behind.post("/events", json=anima.event("Before."))).json()
    await door.shut()
    listing = {"anima_id": anima.id, "after": posted["position"]}
    for answer in await asyncio.gather(
        behind.get("/events", params=listing),
        behind.get(f"/memories/{anima.id}"),
        behind.get("/animas"),
        behind.get("/dead-letters"),
        behind.post("/animas", json={"name": "x"}),
        behind.post("/packs/compile", json={"anima_id": anima.id, "query": "Before"}),
        behind.post("/packs/compile", json={"anima_id": anima.id, "after": posted["position"], "settled": True}),
    ):
        assert refuses(answer, "Postgres")
    assert await status(behind) == (503, ["Postgres cannot be reached"])
    assert (await behind.get("/healthz")).status_code == 200
    # Kafka takes what it can: the anima's home is known, and only its rows are away.
    assert (await behind.post("/events", json=anima.event("Meanwhile."))).status_code == 201
    await door.open()
    await connected(behind)

    async def both() -> bool:
        answer = await behind.get("/events", params={"anima_id": anima.id})
        return answer.status_code == 200 and [one["content"] for one in answer.json()] == ["Meanwhile.", "Before."]

    await eventually(both)

    async def packed() -> bool:
        answer = await behind.post("/packs/compile", json={"anima_id": anima.id, "query": "Before"})
        texts = {one["text"] for one in answer.json().get("items", ())}
        return answer.status_code == 200 and texts == {"Meanwhile.", "Before."}

    await eventually(packed)


async def test_a_change_that_is_stored_says_so(
    behind: httpx.AsyncClient, door: Door, anima: Anima, http: httpx.AsyncClient
) -> None:
    await behind.get(f"/animas/{anima.id}")
    await door.shut()
    answer = await behind.patch(f"/animas/{anima.id}", json={"name": "Changed"})
    assert refuses(answer, "do not repeat it")
    position = answer.json()["detail"].rsplit("after=", 1)[1]
    found = await http.get(f"/animas/{anima.id}/synthesis-config", params={"after": position})
    assert found.status_code == 200
    assert (await http.get(f"/animas/{anima.id}")).json()["name"] == "Changed"


async def test_a_postgres_that_stops_answering(
    behind: httpx.AsyncClient, door: Door, anima: Anima, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.context, "POSTGRES_S", 0.3)
    monkeypatch.setattr(api.waiting, "ANSWER_S", 0.1)
    door.jam()
    assert refuses(await behind.get("/events", params={"anima_id": anima.id}), "Postgres")
    waiting = await behind.get("/events", params={"anima_id": anima.id, "after": "elephantasm.events/0/0"})
    assert refuses(waiting, "Postgres")
    assert await status(behind) == (503, ["Postgres cannot be reached"])
    await door.open()
    await connected(behind)
    assert (await behind.get("/events", params={"anima_id": anima.id})).status_code == 200
