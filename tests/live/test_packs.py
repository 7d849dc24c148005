"""Packs over HTTP on the running stack: what goes in comes out, within the budget, with where it came from."""

import asyncio
import uuid
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import psycopg
from pgvector.psycopg import register_vector_async
from psycopg.rows import dict_row

from agents.embeddings.model import embedding_model
from agents.tokens import count_tokens
from api.packs.gather import Asked, gather
from api.packs.layer_cache import LayerCache
from api.packs.request import PackRequest
from sinks.database import dsn
from stack.embedded import Stack
from streams.kafka import topics_of

NOW = "2026-03-10T12:00:00Z"


async def anima_with(http: httpx.AsyncClient, contents: list[str], **fields: Any) -> tuple[str, str]:
    """A new anima with these events, five minutes apart; its id and the position of the last one."""
    anima = (await http.post("/animas", json={"name": f"pack test {uuid.uuid4()}"})).json()["id"]
    events = [
        {"event_type": "message.in", "author": "Ada", "content": content, "session_id": "one",
         "occurred_at": f"2026-03-{1 + n // 200:02}T{8 + n // 12 % 12:02}:{5 * (n % 12):02}:00Z"} | fields
        for n, content in enumerate(contents)
    ]  # fmt: skip
    answer = await http.post("/events/batch", json={"anima_id": anima, "events": events})
    assert answer.status_code == 202, answer.text
    return anima, answer.json()["after"]


async def pack(http: httpx.AsyncClient, anima: str, **request: Any) -> dict[str, Any]:
    answer = await http.post("/packs/compile", json={"anima_id": anima, "now": NOW} | request)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def chatter(count: int) -> list[str]:
    return [
        f"Note {n}: the {'red' if n % 2 else 'blue'} crane lifted load {n * 37} near berth {n % 9}."
        for n in range(count)
    ]


async def test_a_new_event_is_found_at_once_by_its_words(http: httpx.AsyncClient) -> None:
    anima, after = await anima_with(http, [*chatter(5), "The harbour pilot is called Ottoline.", *chatter(45)])
    found = await pack(http, anima, query="Who is Ottoline?", after=after, max_tokens=500)
    assert "- Ada: The harbour pilot is called Ottoline." in found["content"]


async def test_a_settled_pack_holds_memories_with_lineage_to_the_log(http: httpx.AsyncClient) -> None:
    anima, after = await anima_with(http, chatter(60))
    found = await pack(http, anima, query="Which crane lifted load 370?", after=after, settled=True, max_tokens=4000)
    assert found["token_count"] == count_tokens(found["content"]) <= 4000
    memories = [item for item in found["items"] if item["kind"] == "memory"]
    assert memories
    lineage = memories[0]["lineage"]
    assert lineage["events"] == 20
    assert [position.rsplit("/", 1)[0] for position in lineage["positions"]] == [after.rsplit("/", 1)[0]] * 2
    assert lineage["model"].startswith("extractive")
    event = next(item for item in found["items"] if item["kind"] == "event" and "load 370 " in item["text"])
    stored = (await http.get(f"/events/{event['id']}")).json()
    assert [stored["position"]] == event["lineage"]["positions"]
    assert event["text"] == stored["content"]


async def test_equal_requests_give_equal_packs_and_other_queries_other_ones(http: httpx.AsyncClient) -> None:
    anima, after = await anima_with(http, chatter(30))
    request = {"after": after, "settled": True, "max_tokens": 600}
    first = await http.post(
        "/packs/compile/preview", json={"anima_id": anima, "now": NOW, "query": "blue crane"} | request
    )
    second = await http.post(
        "/packs/compile/preview", json={"anima_id": anima, "now": NOW, "query": "blue crane"} | request
    )
    other = await http.post(
        "/packs/compile/preview", json={"anima_id": anima, "now": NOW, "query": "berth 7"} | request
    )
    assert first.content == second.content
    assert first.json()["pack_id"] != other.json()["pack_id"]


async def test_as_of_gives_the_pack_of_that_moment(http: httpx.AsyncClient) -> None:
    anima, after = await anima_with(http, chatter(30))
    then = await pack(http, anima, query="berth 4", after=after, settled=True, max_tokens=800)
    (last,) = (await http.get("/events", params={"anima_id": anima, "limit": 1})).json()
    more = [
        {"event_type": "message.in", "author": "Bo", "content": f"Later: berth 4 is closed, {n}."} for n in range(30)
    ]
    answer = await http.post("/events/batch", json={"anima_id": anima, "events": more})
    later = {"query": "berth 4", "after": answer.json()["after"], "settled": True, "max_tokens": 800}
    assert "Later" in (await pack(http, anima, **later))["content"]
    back = await pack(http, anima, **later, as_of=last["recorded_at"])
    assert back["content"] == then["content"]


async def test_a_served_pack_is_recorded_in_the_log_and_a_preview_is_not(http: httpx.AsyncClient) -> None:
    anima, after = await anima_with(http, chatter(25))
    request = {"anima_id": anima, "now": NOW, "query": "red crane", "after": after, "settled": True, "max_tokens": 4000}
    assert (await http.post("/packs/compile/preview", json=request)).status_code == 200
    served = (await http.post("/packs/compile/conversational", json=request)).json()
    assert served["preset"] == "conversational"
    async with asyncio.timeout(20):
        while not (listed := (await http.get(f"/animas/{anima}/memory-packs")).json()):  # noqa: ASYNC110  the sink writes it
            await asyncio.sleep(0.02)
    assert [one["pack_id"] for one in listed] == [served["pack_id"]]
    assert listed[0]["content"] == served["content"]
    assert [item["id"] for item in listed[0]["items"]] == [item["id"] for item in served["items"]]
    assert (await http.get(f"/memory-packs/{served['pack_id']}")).json() == listed[0]
    latest = f"/animas/{anima}/memory-packs/latest"
    assert (await http.get(latest, params={"query": "red crane"})).json() == listed[0]
    assert (await http.get(latest, params={"query": "another question"})).status_code == 404


async def test_long_term_memories_less_similar_than_asked_for_stay_out(http: httpx.AsyncClient) -> None:
    subjects = ("The ferry to the island leaves at", "Our cat Minka eats", "The printer's toner of office")
    anima, after = await anima_with(http, [f"{subjects[n // 20]} {n}." for n in range(60)], author=None)
    request: dict[str, Any] = {"after": after, "settled": True, "max_tokens": 8000, "long_term": 50}

    async def memories(**others: Any) -> set[str]:
        found = await pack(http, anima, **request, **others)
        return {item["id"] for item in found["items"] if item["kind"] == "memory"}

    query = "When does the ferry to the island leave?"
    everything = await memories(query=query)
    found = (await http.post("/memories/search/semantic", json={"anima_id": anima, "query": query})).json()
    cosines = {hit["id"]: hit["score"] for hit in found}
    assert everything == set(cosines)
    for before, after_it in pairwise(sorted(cosines.values())):
        between = (before + after_it) / 2
        similar = {id_ for id_, cosine in cosines.items() if cosine > between}
        assert await memories(query=query, min_similarity=between) == similar
    assert await memories(query=query, min_similarity=1.0) == set()
    assert await memories(min_similarity=1.0) == everything


async def test_without_a_query_the_newest_comes(http: httpx.AsyncClient) -> None:
    anima, after = await anima_with(http, chatter(60))
    found = await pack(http, anima, after=after, settled=True, max_tokens=500)
    assert "Note 59:" in found["content"]
    assert "Note 3:" not in found["content"]


async def test_what_a_request_gets_wrong_is_named(http: httpx.AsyncClient) -> None:
    anima, after = await anima_with(http, chatter(2))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"max_tokens": 20}, "body.max_tokens"),
        ({"after": "nowhere"}, "body.after"),
        ({"after": "other.topic/0/1"}, "body.after"),
        ({"settled": True}, "body.after"),
        ({"max_tokens": 499}, "body.max_tokens"),
        ({"max_tokens": "700"}, "body.max_tokens"),
        ({"now": "1900-01-01T00:00:00Z"}, "body.now"),
        ({"now": 1780000000}, "body.now"),
        ({"as_of": "2100-01-01T00:00:00Z"}, "body.as_of"),
        ({"settled": "yes"}, "body.settled"),
        ({"session": True}, "body.session"),
        ({"preset": "unheard"}, "body.preset"),
        ({"query": "nul \x00"}, "body.query"),
        ({"long_term": 51}, "body.long_term"),
        ({"min_similarity": 1.5}, "body.min_similarity"),
    ]
    for change, named in wrong:
        answer = await http.post("/packs/compile", json={"anima_id": anima} | change)
        assert answer.status_code == 422, (change, answer.text)
        assert named in [fault["field"] for fault in answer.json()["detail"]], answer.text
    partition, offset = after.split("/")[1:]
    ahead = await http.post(
        "/packs/compile", json={"anima_id": anima, "after": f"{after.split('/')[0]}/{partition}/{int(offset) + 10**9}"}
    )
    assert ahead.status_code == 503
    assert int(ahead.headers["Retry-After"]) >= 1


async def test_an_anima_of_another_database_is_said_to_be_gone(http: httpx.AsyncClient, stack: Stack) -> None:
    anima, after = await anima_with(http, ["The lamp is lit."])
    await pack(http, anima, after=after, settled=True)  # an event on its way would have the sink write the anima again
    async with await psycopg.AsyncConnection.connect(dsn(stack.settings), autocommit=True) as connection:
        await connection.execute("UPDATE animas SET id = gen_random_uuid() WHERE id = %s", [anima])
    answers = [await http.post("/packs/compile", json={"anima_id": anima, "query": "lamp"}) for _ in range(4)]
    # A process that has not met the anima does not know it.
    assert {answer.status_code for answer in answers} <= {404, 503}
    assert any("went away" in answer.json()["detail"] for answer in answers)


async def test_an_anima_that_went_back_is_read_anew(http: httpx.AsyncClient, stack: Stack) -> None:
    """A database that was emptied and has not caught up, say."""
    anima, after = await anima_with(http, chatter(30))
    request: dict[str, Any] = {"query": "berth 4", "max_tokens": 800}
    for _ in range(4):  # by every process
        await pack(http, anima, after=after, settled=True, **request)
    async with await psycopg.AsyncConnection.connect(dsn(stack.settings), autocommit=True) as connection:
        for query in (
            "UPDATE animas SET events = 25 WHERE id = %s",
            "DELETE FROM documents WHERE anima_id = %s AND layer = 0 AND seq >= 25",
            "DELETE FROM events WHERE anima_id = %s AND seq >= 25",
        ):
            await connection.execute(query, [anima])
    answers = [await http.post("/packs/compile", json={"anima_id": anima, "now": NOW} | request) for _ in range(12)]
    assert any("went back" in answer.text for answer in answers)
    assert [answer.status_code for answer in answers[-4:]] == [200] * 4
    assert "Note 29" not in answers[-1].json()["content"]


async def test_of_a_layer_that_has_become_too_large_no_vectors_are_held(http: httpx.AsyncClient, stack: Stack) -> None:
    anima, after = await anima_with(http, chatter(30))
    await pack(http, anima, query="berth 4", after=after, settled=True)
    request = PackRequest(anima_id=uuid.UUID(anima), query="berth 4")
    cache, model = LayerCache(100_000_000), embedding_model(stack.settings, 10)
    async with await psycopg.AsyncConnection.connect(dsn(stack.settings), row_factory=dict_row) as connection:
        await register_vector_async(connection)
        (number,) = [row["id"] async for row in await connection.execute("SELECT id FROM embedding_models")]
        now = datetime(2026, 3, 10, tzinfo=UTC)
        asked = Asked(request, request.resolved(), now, stack.settings.generation, topics_of(stack.settings), number)
        await gather(connection, model, cache, asked)
        held = cache.layer(asked.layers[0])
        assert (held.vectors.end, len(held.documents)) == (30, 30)
        cache.most_bytes = 3_000_000  # not enough for a chunk of vectors
        await gather(connection, model, cache, asked)
    assert (held.vectors.end, len(held.documents)) == (0, 30)
    assert 0 < cache.nbytes < 30 * 384 * 4
