"""Memories and lineage: from what was said to what is remembered, and back to positions in the log."""

from typing import Any

import httpx
import orjson
import pytest

from api.routes.memories import StoredMemory
from tests.api.conftest import Anima, LogView, eventually, new_anima

EVERY_THREE = {"time_weight": 0, "event_weight": 1, "token_weight": 0, "threshold": 3}
SAID = (
    "The new courier is called Bluefinch and picks up at a quarter to five.",
    "Bluefinch charges four euros for parcels up to two kilos.",
    "Ines signed the contract with Bluefinch on Friday.",
    "The grinder's burrs are worn and have to be replaced in March.",
    "A set of burrs costs ninety euros at Kessler's.",
    "Tomas orders the burrs for the grinder tomorrow.",
)


@pytest.fixture
async def remembered(http: httpx.AsyncClient, anima: Anima) -> list[dict[str, Any]]:
    """Two memories of three events each, the first one first."""
    await http.put(f"/animas/{anima.id}/synthesis-config", json=EVERY_THREE)
    batch = [{"event_type": "message.in", "content": content} for content in SAID]
    await http.post("/events/batch", json={"anima_id": anima.id, "events": batch})

    async def both() -> list[dict[str, Any]] | None:
        found = (await http.get("/memories", params={"anima_id": anima.id})).json()
        return found if len(found) == 2 else None

    return list(reversed(await eventually(both)))


async def test_a_memory_and_what_it_rests_on(
    http: httpx.AsyncClient, log: LogView, anima: Anima, remembered: list[dict[str, Any]]
) -> None:
    first, second = remembered
    assert (first["anima_id"], first["revision"], first["generation"], first["closed_at"]) == (anima.id, 1, 1, None)
    assert set(first) == set(StoredMemory.model_json_schema(mode="serialization")["properties"])
    assert (await http.get(f"/memories/{first['id']}")).json() == first
    assert (await http.get(f"/memories/{first['id']}/history")).json() == [first]
    events = (await http.get(f"/memories/{second['id']}/events")).json()
    assert [event["content"] for event in events] == list(SAID[3:])
    assert sum(event["weight"] for event in events) == pytest.approx(1)
    one = await http.get(f"/memories/{second['id']}/events", params={"limit": 1, "offset": 2})
    assert [event["content"] for event in one.json()] == [SAID[5]]
    (made,) = (await http.get(f"/events/{events[0]['id']}/memories")).json()
    assert made == second | {"weight": events[0]["weight"]}


async def test_states_and_pages(http: httpx.AsyncClient, anima: Anima, remembered: list[dict[str, Any]]) -> None:
    async def ids(**query: Any) -> list[str]:
        answer = await http.get("/memories", params={"anima_id": anima.id} | query)
        return [memory["id"] for memory in answer.json()]

    first, second = (memory["id"] for memory in remembered)
    assert await ids() == await ids(state="ACTIVE") == [second, first]
    assert await ids(state="ARCHIVED") == []
    assert await ids(limit=1, offset=1) == [first]


async def test_search_by_words(http: httpx.AsyncClient, anima: Anima, remembered: list[dict[str, Any]]) -> None:
    async def found(q: str, **query: Any) -> list[str]:
        answer = await http.get("/memories/search", params={"anima_id": anima.id, "q": q} | query)
        return [memory["id"] for memory in answer.json()]

    first, second = remembered
    word = max(second["summary"].split(), key=len).strip(".,'")
    assert word not in first["summary"]

    async def indexed() -> bool:
        return await found(word) == [second["id"]]

    await eventually(indexed)
    assert await found(word.upper() + "?") == [second["id"]]
    assert await found("zebra") == []
    assert await found("the and of") == []
    both = f"{first['summary']} {first['summary']} {word}"
    assert await found(both) == [first["id"], second["id"]]
    assert await found(both, limit=1, offset=1) == [second["id"]]


async def test_search_by_meaning(http: httpx.AsyncClient, anima: Anima, remembered: list[dict[str, Any]]) -> None:
    async def found(query: str) -> list[dict[str, Any]]:
        answer = await http.post("/memories/search/semantic", json={"anima_id": anima.id, "query": query, "limit": 5})
        assert answer.status_code == 200
        return list(answer.json())

    async def embedded() -> bool:
        return len(await found("anything")) == 2

    await eventually(embedded)
    for memory, other in (remembered, reversed(remembered)):
        hits = await found(memory["summary"])
        assert [hit["id"] for hit in hits] == [memory["id"], other["id"]]
        assert hits[0]["score"] == pytest.approx(1, abs=0.01)
    hits = await found("Which parts of the coffee mill must we buy?")
    assert hits[0]["id"] == remembered[1]["id"]


async def test_search_stays_within_the_anima(
    http: httpx.AsyncClient, remembered: list[dict[str, Any]], anima: Anima
) -> None:
    other, summary = await new_anima(http), remembered[0]["summary"]
    words = await http.get("/memories/search", params={"anima_id": other.id, "q": summary})
    meaning = await http.post("/memories/search/semantic", json={"anima_id": other.id, "query": summary})
    assert (words.json(), meaning.json()) == ([], [])


async def test_lineage_of_a_memory(
    http: httpx.AsyncClient, log: LogView, anima: Anima, remembered: list[dict[str, Any]]
) -> None:
    second = remembered[1]
    lineage = (await http.get(f"/lineage/memory/{second['id']}")).json()
    said = [orjson.loads((await log.at(source["position"])).value or b"") for source in lineage["sources"]]
    assert [record["content"] for record in said] == list(SAID[3:])
    own = orjson.loads((await log.at(lineage["position"])).value or b"")
    assert (own["id"], own["summary"]) == (second["id"], second["summary"])
    made, trigger = lineage["made"], lineage["made"]["trigger"]
    assert (made["model"], made["prompt_hash"]) == (own["model"], own["prompt_hash"])
    assert (trigger["score"], trigger["threshold"], trigger["events"]) == (3, 3, 3)
    assert (trigger["first"], trigger["last"]) == (lineage["sources"][0]["position"], lineage["sources"][2]["position"])
    assert trigger["id"] == own["trigger"]["id"]
    assert lineage["derived"] == []


async def test_lineage_of_an_event(http: httpx.AsyncClient, anima: Anima, remembered: list[dict[str, Any]]) -> None:
    (event,) = (await http.get(f"/memories/{remembered[0]['id']}/events", params={"limit": 1})).json()
    lineage = (await http.get(f"/lineage/event/{event['id']}")).json()
    assert (lineage["made"], lineage["revision"], lineage["position"]) == (None, None, event["position"])
    assert [source["position"] for source in lineage["sources"]] == [event["position"]]
    (derived,) = lineage["derived"]
    assert (derived["id"], derived["weight"]) == (remembered[0]["id"], event["weight"])
    assert derived["made"] == (await http.get(f"/lineage/memory/{remembered[0]['id']}")).json()["made"]


@pytest.mark.parametrize(
    "path", ["/memories/{}", "/memories/{}/history", "/memories/{}/events", "/events/{}/memories", "/lineage/event/{}",
             "/lineage/memory/{}", "/events/{}", "/animas/{}/synthesis-config", "/animas/{}/synthesis-status"]
)  # fmt: skip
async def test_what_is_not_there(http: httpx.AsyncClient, path: str) -> None:
    unknown = "7f0c8a5e-53a1-4c6e-9d53-0a2b7f6f3b11"
    answer = await http.get(path.format(unknown))
    assert answer.status_code == 404
    assert unknown in answer.json()["detail"]
