"""A caller who may see one anima finds nothing of any other, on any endpoint."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.app import create_app
from stack.embedded import Stack
from tests.api.conftest import Anima, LogView, Serve, connected, eventually, new_anima, on_stack, only, publish
from tests.api.test_memories import EVERY_THREE, SAID

SECRET = "Bluefinch"


@dataclass(frozen=True)
class Theirs:
    """Another caller's anima, and ids of what it has."""

    anima: Anima
    event: str
    memory: str
    pack: str
    letter: str


@pytest.fixture
async def theirs(stack: Stack, http: httpx.AsyncClient) -> Theirs:
    anima = await new_anima(http)
    await http.put(f"/animas/{anima.id}/synthesis-config", json=EVERY_THREE)
    events = [{"event_type": "message.in", "content": content} for content in SAID[:3]]
    await http.post("/events/batch", json={"anima_id": anima.id, "events": events})

    async def memory() -> Any:
        return (await http.get("/memories", params={"anima_id": anima.id})).json()

    (memory_row,) = await eventually(memory)
    (event,) = (await http.get("/events", params={"anima_id": anima.id, "limit": 1})).json()
    pack = (await http.post("/packs/compile", json={"anima_id": anima.id, "query": SECRET})).json()

    async def served() -> bool:
        return (await http.get(f"/memory-packs/{pack['pack_id']}")).status_code == 200

    await eventually(served)
    await publish(on_stack(stack), anima.key.encode(), f"no JSON, but {SECRET}".encode())

    async def buried() -> Any:
        found = (await http.get("/dead-letters")).json()["items"]
        return [letter["id"] for letter in found if letter["key"] == anima.key]

    (letter,) = await eventually(buried)
    return Theirs(anima, event["id"], memory_row["id"], pack["pack_id"], letter)


@pytest.fixture
async def limited(stack: Stack, serve: Serve, anima: Anima) -> httpx.AsyncClient:
    """A client of a caller who may see `anima` and nothing else."""
    return await connected(await serve(on_stack(stack), only(anima)))


WEIGHTS = {"time_weight": 1, "event_weight": 1, "token_weight": 0, "threshold": 9}
# How each endpoint would reach another's anima, and what that must answer.
ATTEMPTS: dict[str, tuple[str, dict[str, Any], int]] = {
    "animas_create": ("/animas", {"json": {"name": "New", "key": "not-mine"}}, 403),
    "animas_get": ("/animas/{anima}", {}, 404),
    "animas_patch": ("/animas/{anima}", {"json": {"name": "Mine now"}}, 404),
    "events_post": ("/events", {"json": {"anima_id": "{anima}", "event_type": "a", "content": "x"}}, 404),
    "events_post_batch": (
        "/events/batch", {"json": {"anima_id": "{anima}", "events": [{"event_type": "a", "content": "x"}]}}, 404,
    ),
    "events_list": ("/events", {"params": {"anima_id": "{anima}"}}, 404),
    "events_get": ("/events/{event}", {}, 404),
    "memories_list": ("/memories", {"params": {"anima_id": "{anima}"}}, 404),
    "memories_search": ("/memories/search", {"params": {"anima_id": "{anima}", "q": SECRET}}, 404),
    "memories_search_semantic": ("/memories/search/semantic", {"json": {"anima_id": "{anima}", "query": SECRET}}, 404),
    "memories_get": ("/memories/{memory}", {}, 404),
    "memories_history": ("/memories/{memory}/history", {}, 404),
    "memories_events": ("/memories/{memory}/events", {}, 404),
    "memories_of_event": ("/events/{event}/memories", {}, 404),
    "lineage_get": ("/lineage/memory/{memory}", {}, 404),
    "synthesis_get_config": ("/animas/{anima}/synthesis-config", {}, 404),
    "synthesis_put_config": ("/animas/{anima}/synthesis-config", {"json": WEIGHTS}, 404),
    "synthesis_delete_config": ("/animas/{anima}/synthesis-config", {}, 404),
    "synthesis_get_status": ("/animas/{anima}/synthesis-status", {}, 404),
    "packs_compile": ("/packs/compile", {"json": {"anima_id": "{anima}", "query": SECRET}}, 404),
    "packs_preview": ("/packs/compile/preview", {"json": {"anima_id": "{anima}", "query": SECRET}}, 404),
    "packs_compile_preset": ("/packs/compile/default", {"json": {"anima_id": "{anima}", "query": SECRET}}, 404),
    "packs_list": ("/animas/{anima}/memory-packs", {}, 404),
    "packs_latest": ("/animas/{anima}/memory-packs/latest", {}, 404),
    "packs_get": ("/memory-packs/{pack}", {}, 404),
    "ops_lag": ("/lag", {}, 403),
    "ops_metrics": ("http://test/metrics", {}, 403),
    "ops_dead_letter": ("/dead-letters/{letter}", {}, 404),
    "ops_redrive": ("/dead-letters/redrive", {"json": {"ids": ["{letter}"]}}, 403),
    "ops_discard": ("/dead-letters/discard", {"json": {"ids": ["{letter}"], "why": "w"}}, 403),
}  # fmt: skip
# What names no anima: it answers, without a word of the others'.
OPEN = {"health_live", "health_ready", "health_health", "animas_list", "animas_search", "ops_dead_letters"}


def methods(stack: Stack) -> dict[str, str]:
    paths = create_app(on_stack(stack)).openapi()["paths"].values()
    return {operation["operationId"]: method for path in paths for method, operation in path.items()}


def test_every_endpoint_is_tried(stack: Stack) -> None:
    assert set(methods(stack)) == set(ATTEMPTS) | OPEN


async def test_nothing_of_another_anima(
    stack: Stack, limited: httpx.AsyncClient, http: httpx.AsyncClient, log: LogView, theirs: Theirs
) -> None:
    end, before = await log.end(theirs.anima), (await http.get(f"/animas/{theirs.anima.id}")).json()
    named = {"anima": theirs.anima.id, "event": theirs.event, "memory": theirs.memory, "pack": theirs.pack}
    named["letter"] = theirs.letter
    for operation, method in methods(stack).items():
        if operation in OPEN:
            continue
        path, request, expected = ATTEMPTS[operation]
        answer = await limited.request(method, filled(path, named), **filled(request, named))
        assert answer.status_code == expected, (operation, answer.text)
        assert SECRET not in answer.text
    assert (await limited.get(f"/lineage/event/{theirs.event}")).status_code == 404
    assert await log.since(theirs.anima, end) == []
    assert (await http.get(f"/animas/{theirs.anima.id}")).json() == before


async def test_an_anima_that_is_not_there(stack: Stack, http: httpx.AsyncClient, anima: Anima, log: LogView) -> None:
    """For a caller who may see everything."""
    end, nobody = await log.end(anima), str(UUID(int=int(UUID(anima.id)) ^ 1))
    named = dict.fromkeys(("anima", "event", "memory", "pack", "letter"), nobody)
    for operation, method in methods(stack).items():
        path, request, expected = ATTEMPTS.get(operation, ("", {}, 0))
        if expected == 404:
            answer = await http.request(method, filled(path, named), **filled(request, named))
            assert answer.status_code == 404, (operation, answer.text)
    assert await log.since(anima, end) == []


def filled(template: Any, named: dict[str, str]) -> Any:
    if isinstance(template, str):
        return template.format(**named)
    if isinstance(template, list):
        return [filled(value, named) for value in template]
    if isinstance(template, dict):
        return {key: filled(value, named) for key, value in template.items()}
    return template


async def test_lists_hold_only_ones_own(limited: httpx.AsyncClient, anima: Anima, theirs: Theirs) -> None:
    assert [one["id"] for one in (await limited.get("/animas")).json()] == [anima.id]
    assert (await limited.get("/animas/search", params={"name": theirs.anima.key})).json() == []
    assert [one["id"] for one in (await limited.get("/animas/search", params={"name": anima.key})).json()] == [anima.id]
    posted = await limited.post("/events", json=anima.event("One's own."))
    assert posted.status_code == 201
    found = await limited.get("/events", params={"anima_id": anima.id, "after": posted.json()["position"]})
    assert [one["content"] for one in found.json()] == ["One's own."]
