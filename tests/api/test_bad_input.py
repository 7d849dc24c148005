"""Whatever is wrong with a request, the answer says which field and why, and nothing is written."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api.conftest import Anima, LogView
from tests.api.wrong import WRONG

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def unchanged(http: httpx.AsyncClient, log: LogView, anima: Anima) -> AsyncIterator[None]:
    """Fails unless the anima's log and rows are after the test as they were before it."""
    end = await log.end(anima)
    before = (await http.get(f"/animas/{anima.id}")).json()
    yield
    assert await log.since(anima, end) == []
    assert (await http.get(f"/animas/{anima.id}")).json() == before


def faults(answer: httpx.Response) -> dict[str, str]:
    """Reasons by field."""
    return {fault["field"]: fault["reason"] for fault in answer.json()["detail"]}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", WRONG)
async def test_event_with_a_wrong_field(http: httpx.AsyncClient, anima: Anima, name: str) -> None:
    fields, field = WRONG[name]
    body = f'{{"anima_id": "{anima.id}", "event_type": "message.in", {fields}}}'
    answer = await http.post("/events", content=body, headers=JSON)
    assert answer.status_code == 422
    assert list(faults(answer)) == [field]
    assert faults(answer)[field]


@pytest.mark.usefixtures("unchanged")
async def test_one_wrong_event_refuses_its_batch(http: httpx.AsyncClient, anima: Anima) -> None:
    events: list[dict[str, Any]] = [{"event_type": "a", "content": "x"} for _ in range(9)]
    events[7]["content"] = ""
    answer = await http.post("/events/batch", json={"anima_id": anima.id, "events": events})
    assert answer.status_code == 422
    assert faults(answer) == {"body.events.7.content": "is empty"}


@pytest.mark.usefixtures("unchanged")
async def test_batch_with_another_animas_event(http: httpx.AsyncClient, anima: Anima) -> None:
    stranger = {"event_type": "a", "content": "x", "anima_id": "7f0c8a5e-53a1-4c6e-9d53-0a2b7f6f3b11"}
    events = [{"event_type": "a", "content": "x"}, stranger]
    answer = await http.post("/events/batch", json={"anima_id": anima.id, "events": events})
    assert answer.status_code == 422
    assert list(faults(answer)) == ["body.events.1.anima_id"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("event", [{"event_type": "a", "content": "x"}, {"content": ""}, None])
async def test_too_many_events_are_refused_by_their_number(http: httpx.AsyncClient, anima: Anima, event: Any) -> None:
    events = [event] * 100_000
    answer = await http.post("/events/batch", json={"anima_id": anima.id, "events": events})
    assert answer.status_code == 413
    assert "at most 10,000" in faults(answer)["body.events"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("body", [[], {"events": {}}, "events", None])
async def test_batch_of_another_shape(http: httpx.AsyncClient, body: Any) -> None:
    assert (await http.post("/events/batch", json=body)).status_code == 422


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("body", [b"\xff", b"[" * 100_000, b'{"events": '])
async def test_batch_that_is_no_json_and_does_not_claim_to_be(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/events/batch", content=body, headers={"content-type": "text/plain"})
    assert answer.status_code == 422


@pytest.mark.usefixtures("unchanged")
async def test_empty_batch(http: httpx.AsyncClient, anima: Anima) -> None:
    answer = await http.post("/events/batch", json={"anima_id": anima.id, "events": []})
    assert answer.status_code == 422
    assert list(faults(answer)) == ["body.events"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", ["/events", "/events/batch", "/packs/compile"])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_body_of_ten_megabytes(http: httpx.AsyncClient, anima: Anima, path: str, declared: bool) -> None:
    body = json.dumps(anima.event("x" * 10_000_000)).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1_000_000):
            yield body[start : start + 1_000_000]

    answer = await http.post(path, content=body if declared else chunks(), headers=JSON)
    assert answer.status_code == 413
    assert "8,000,000 bytes" in answer.json()["detail"]


async def test_unknown_anima(http: httpx.AsyncClient, anima: Anima, log: LogView) -> None:
    unknown, end = "7f0c8a5e-53a1-4c6e-9d53-0a2b7f6f3b11", await log.end(anima)
    for path, body in (
        ("/events", anima.event() | {"anima_id": unknown}),
        ("/events/batch", {"anima_id": unknown, "events": [{"event_type": "a", "content": "x"}]}),
    ):
        answer = await http.post(path, json=body)
        assert answer.status_code == 404
        assert unknown in answer.json()["detail"]
    assert (await http.get(f"/animas/{unknown}")).status_code == 404
    assert await log.since(anima, end) == []


UNREADABLE = {
    "nothing": (b"", 422),
    "no JSON": (b"{event", 422),
    "no object": (b"[1]", 422),
    "no UTF-8": (b'{"anima_id": "\xff"}', 400),
    "deep": (b"[" * 200_000, 400),
    "a number of 5,000 digits": (b"9" * 5_000, 400),
}


@pytest.mark.parametrize(
    "path",
    ["/events", "/events/batch", "/animas", "/memories/search/semantic", "/packs/compile", "/dead-letters/redrive"],
)
@pytest.mark.parametrize("name", UNREADABLE)
async def test_unreadable_body(http: httpx.AsyncClient, path: str, name: str) -> None:
    body, status = UNREADABLE[name]
    answer = await http.post(path, content=body, headers=JSON)
    assert answer.status_code == status
    assert answer.json()["detail"]


@pytest.mark.usefixtures("unchanged")
async def test_body_that_is_not_declared_as_json(http: httpx.AsyncClient, anima: Anima) -> None:
    body = json.dumps(anima.event())
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = await http.post("/events", content=body, headers={"Content-Type": content_type})
        assert answer.status_code == 422, content_type


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("/events?anima_id={id}&session_id=%00", "query.session_id"),
        ("/events?anima_id={id}&event_type=a%00", "query.event_type"),
        ("/events?anima_id={id}&min_importance=nan", "query.min_importance"),
        ("/events?anima_id={id}&limit=201", "query.limit"),
        ("/events?anima_id={id}&limit=0", "query.limit"),
        ("/events?anima_id={id}&offset=99999999999999999999", "query.offset"),
        ("/events?anima_id=%00", "query.anima_id"),
        ("/events/%00", "path.id"),
        ("/memories?anima_id={id}&state=GONE", "query.state"),
        ("/memories/search?anima_id={id}&q=%00", "query.q"),
        ("/memories/search?anima_id={id}&q=", "query.q"),
        ("/animas/search?name=%00", "query.name"),
        ("/dead-letters?stage=%00", "query.stage"),
        ("/lineage/dream/{id}", "path.kind"),
        ("/events?anima_id={id}&after=nowhere", "query.after"),
        ("/events?anima_id={id}&after=elephantasm.events/8/0", "query.after"),
        ("/events?anima_id={id}&after=elephantasm.events/-1/0", "query.after"),
        ("/events?anima_id={id}&after=elephantasm.g1.triggers/0/0", "query.after"),
        ("/events?anima_id={id}&after=%00", "query.after"),
    ],
)
async def test_wrong_path_or_query(http: httpx.AsyncClient, anima: Anima, query: str, field: str) -> None:
    answer = await http.get(query.format(id=anima.id))
    assert answer.status_code == 422
    assert list(faults(answer)) == [field]


async def test_bytes_that_are_no_text_in_a_path(http: httpx.AsyncClient, anima: Anima) -> None:
    for path in (
        "/events/%ff%ed%a0%80",
        "/memory-packs/%00" + 63 * "a",
        f"/events?anima_id={anima.id}&session_id=%ed%a0%80",
    ):
        assert (await http.get(path)).status_code in (200, 404, 422), path


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "body.name"),
        ({"name": "a\x00"}, "body.name"),
        ({"name": "x", "description": "a\x00"}, "body.description"),
        ({"name": "x", "key": "  "}, "body.key"),
        ({"name": "x", "key": "7F0C8A5E-53A1-4C6E-9D53-0A2B7F6F3B11"}, "body.key"),
        ({"name": "x", "key": "k" * 201}, "body.key"),
    ],
)
async def test_anima_with_a_wrong_field(http: httpx.AsyncClient, body: dict[str, str], field: str) -> None:
    answer = await http.post("/animas", json=body)
    assert answer.status_code == 422
    assert list(faults(answer)) == [field]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("change", "field"),
    [({"name": None}, "body.name"), ({"description": "a\x00"}, "body.description"), ({"name": 7}, "body.name")],
)
async def test_wrong_change_of_an_anima(
    http: httpx.AsyncClient, anima: Anima, change: dict[str, Any], field: str
) -> None:
    answer = await http.patch(f"/animas/{anima.id}", json=change)
    assert answer.status_code == 422
    assert list(faults(answer)) == [field]


@pytest.mark.usefixtures("unchanged")
async def test_wrong_weights(http: httpx.AsyncClient, anima: Anima) -> None:
    weights = {"time_weight": 5.1, "event_weight": -1, "token_weight": 0.01, "threshold": 0}
    answer = await http.put(f"/animas/{anima.id}/synthesis-config", json=weights)
    assert answer.status_code == 422
    assert list(faults(answer)) == [f"body.{name}" for name in weights]
    of_other_types = {"time_weight": "1", "event_weight": True, "token_weight": None, "threshold": " 9 "}
    answer = await http.put(f"/animas/{anima.id}/synthesis-config", json=of_other_types)
    assert answer.status_code == 422
    assert list(faults(answer)) == [f"body.{name}" for name in weights]
