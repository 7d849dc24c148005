"""Dead letters, on a log of the test's own."""

import base64

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from stack.settings import Settings
from streams.kafka import partition_of, producer, topics_of
from tests.api.conftest import Anima, MakeWorld, Serve, connected, eventually, new_anima, only


async def publish(settings: Settings, key: bytes, *values: bytes) -> None:
    kafka: AIOKafkaProducer = producer(settings)
    await kafka.start()
    for value in values:
        partition = partition_of(key, settings.partitions)
        await kafka.send_and_wait(topics_of(settings).events.name, value, key=key, partition=partition)
    await kafka.stop()


@pytest.fixture
async def letters(make_world: MakeWorld, serve: Serve) -> tuple[httpx.AsyncClient, Anima]:
    """Three records that are no events, of one anima, in the dead letters."""
    world = await make_world(after_timeout_s=30.0)
    world.stage("sink")
    http = await connected(await serve(world.settings))
    anima = await new_anima(http)
    await publish(world.settings, anima.key.encode(), b"\xff\xfe", b"{no json", b'"' + b"\xc3\xa9" * 4000 + b'"')

    async def arrived() -> bool:
        return bool((await http.get("/dead-letters")).json()["total"] == 3)

    await eventually(arrived)
    return http, anima


async def test_dead_letters(letters: tuple[httpx.AsyncClient, Anima]) -> None:
    http, anima = letters
    found = (await http.get("/dead-letters", params={"stage": "sink"})).json()
    assert found["total"] == 3
    assert {letter["key"] for letter in found["items"]} == {anima.key}
    long, text, binary = sorted(found["items"], key=lambda letter: -letter["offset"])
    assert (text["value"], text["encoding"], text["bytes"]) == ("{no json", "utf-8", 8)
    assert text["reason"].startswith("not JSON")
    assert (base64.b64decode(binary["value"]), binary["encoding"]) == (b"\xff\xfe", "base64")
    assert (long["value"], long["encoding"], long["bytes"]) == ('"' + "é" * 1999, "utf-8", 8002)
    page = (await http.get("/dead-letters", params={"limit": 1, "offset": 1})).json()
    assert (page["total"], len(page["items"])) == (3, 1)
    assert (await http.get("/dead-letters", params={"stage": "index"})).json() == {"total": 0, "items": []}


async def test_dead_letters_of_ones_own(letters: tuple[httpx.AsyncClient, Anima], serve: Serve) -> None:
    http, anima = letters
    settings = http._transport.app.state.settings  # type: ignore[attr-defined]
    other = await new_anima(http)
    mine, others = (
        await connected(await serve(settings, only(anima))),
        await connected(await serve(settings, only(other))),
    )
    assert (await mine.get("/dead-letters")).json()["total"] == 3
    assert (await others.get("/dead-letters")).json() == {"total": 0, "items": []}
