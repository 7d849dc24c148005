"""The embedding provider away: what needs the question's vector says so and when to come back, all else goes on."""

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from agents.embeddings.openai import DIMENSIONS, MODEL
from sinks import vectors
from sinks.database import pool
from tests.agents.embeddings.wire import LASTING, PASSING, embeddings
from tests.agents.llm.wire import Wire, serving, status
from tests.api.conftest import Anima, MakeWorld, Serve, connected, new_anima

FAULTS = PASSING | {name: answer for name, (answer, _) in LASTING.items()}
NAME = f"openai/{MODEL}"


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving() as wire:
        yield wire


@pytest.fixture
async def asking(make_world: MakeWorld, serve: Serve, wire: Wire) -> httpx.AsyncClient:
    """An API that has its questions embedded over the wire, on a database that knows the model."""
    world = await make_world(
        embedding_provider="openai", openai_api_key=SecretStr("secret"), llm_base_url=wire.url, llm_timeout_s=0.5
    )
    world.stage("sink")
    async with pool(world.settings) as rows, rows.connection() as connection:
        await vectors.model_id(connection, NAME, DIMENSIONS)
    return await connected(await serve(world.settings))


@pytest.fixture
async def anima(asking: httpx.AsyncClient) -> Anima:
    return await new_anima(asking)


async def answers(asking: httpx.AsyncClient, anima: Anima, query: str | None) -> list[httpx.Response]:
    body = {"anima_id": anima.id, "query": query}
    paths = ["/packs/compile/preview", "/packs/compile"] + ["/memories/search/semantic"] * (query is not None)
    return [await asking.post(path, json=body) for path in paths]


async def test_every_way_to_be_away(asking: httpx.AsyncClient, anima: Anima, wire: Wire) -> None:
    for name, answer in (FAULTS | {"time-out": wire.hang()}).items():
        wire.will(answer)
        for refused in await answers(asking, anima, "Where is the kettle?"):
            assert (refused.status_code, refused.headers.get("Retry-After")) == (503, "7" if name == "429" else "1"), (
                name
            )
            assert refused.json() == {"detail": f"the embedding provider cannot embed the query now ({NAME})"}
        assert [one.status_code for one in await answers(asking, anima, None)] == [200, 200]
    wire.will(embeddings())
    assert [one.status_code for one in await answers(asking, anima, "Where is the kettle?")] == [200, 200, 200]


async def test_a_provider_that_wants_more_patience_says_how_much(
    asking: httpx.AsyncClient, anima: Anima, wire: Wire
) -> None:
    wire.will(status(429, headers={"retry-after-ms": "1200"}))
    for refused in await answers(asking, anima, "Where is the kettle?"):
        assert refused.headers["Retry-After"] == "2"


async def test_words_are_found_all_the_same(asking: httpx.AsyncClient, anima: Anima, wire: Wire) -> None:
    wire.will(status(500))
    found = await asking.get("/memories/search", params={"anima_id": anima.id, "q": "kettle"})
    assert (found.status_code, wire.asked) == (200, [])
