"""Events: what an answer promises is what stands on the log and in the rows."""

import asyncio
import signal
from uuid import UUID

import httpx
import orjson
import pytest

from api.routes import events
from streams.positions import event_id
from tests.api.conftest import Anima, LogView, MakeWorld, Serve, connected, log_view, new_anima


async def test_an_answer_names_the_record(http: httpx.AsyncClient, log: LogView, anima: Anima) -> None:
    sent = anima.event("Two sacks of Harbour Light.", author="Ines", meta={"sacks": 2, "none": None})
    answer = await http.post("/events", json=sent)
    assert answer.status_code == 201
    record = await log.at(answer.json()["position"])
    assert record.key == anima.key.encode()
    assert orjson.loads(record.value or b"") == sent | {"kind": "event", "schema_version": 1}
    assert answer.json()["id"] == str(event_id(UUID(anima.id), record.partition, record.offset, None))


async def test_a_read_after_a_write_sees_it(http: httpx.AsyncClient, anima: Anima) -> None:
    for number in range(5):
        posted = (await http.post("/events", json=anima.event(f"Number {number}."))).json()
        found = await http.get(f"/events/{posted['id']}", params={"after": posted["position"]})
        assert found.status_code == 200
        assert (found.json()["content"], found.json()["seq"]) == (f"Number {number}.", number)
        listed = (await http.get("/events", params={"anima_id": anima.id, "after": posted["position"]})).json()
        assert [event["seq"] for event in listed] == list(range(number, -1, -1))


async def test_lists_are_filtered_and_paged(http: httpx.AsyncClient, anima: Anima) -> None:
    batch = [
        {"event_type": "tool.call" if n % 2 else "message.in", "content": str(n), "session_id": f"s{n % 3}",
         "importance_score": n / 10}
        for n in range(10)
    ]  # fmt: skip
    after = (await http.post("/events/batch", json={"anima_id": anima.id, "events": batch})).json()["after"]

    async def contents(**filters: str | int | float) -> list[str]:
        answer = await http.get("/events", params={"anima_id": anima.id, "after": after} | filters)
        return [event["content"] for event in answer.json()]

    assert await contents() == list("9876543210")
    assert await contents(event_type="tool.call") == list("97531")
    assert await contents(session_id="s1") == list("741")
    assert await contents(min_importance=0.75) == list("98")
    assert await contents(limit=3, offset=2) == list("765")


async def test_a_repeated_dedupe_key_answers_with_the_first_event(
    http: httpx.AsyncClient, log: LogView, anima: Anima
) -> None:
    first = await http.post("/events", json=anima.event("The first.", dedupe_key="k"))
    end = await log.end(anima)
    again = await http.post("/events", json=anima.event("Another text.", dedupe_key="k"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.json()["content"] == "The first."
    assert await log.since(anima, end) == []
    assert (await http.get(f"/animas/{anima.id}")).json()["events"] == 1


async def test_of_equal_keys_at_once_one_is_first(http: httpx.AsyncClient, anima: Anima) -> None:
    posts = [http.post("/events", json=anima.event(f"Text {n}.", dedupe_key="k")) for n in range(6)]
    answers = await asyncio.gather(*posts)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 200, 201]
    (first,) = [answer.json() for answer in answers if answer.status_code == 201]
    assert all(answer.json() == first for answer in answers)
    assert (await http.get("/events", params={"anima_id": anima.id})).json() == [first]


async def test_repeats_in_a_batch_are_left_out(http: httpx.AsyncClient, log: LogView, anima: Anima) -> None:
    keys = ["a", "b", "a", None, "b", None]
    batch = [{"event_type": "x", "content": f"{n} {key}", "dedupe_key": key} for n, key in enumerate(keys)]
    answer = (await http.post("/events/batch", json={"anima_id": anima.id, "events": batch})).json()
    assert (answer["accepted"], answer["repeated"]) == (4, 2)
    listed = (await http.get("/events", params={"anima_id": anima.id, "after": answer["after"]})).json()
    assert [event["content"] for event in reversed(listed)] == ["0 a", "1 b", "3 None", "5 None"]
    assert answer["after"] == listed[0]["position"]


async def test_a_batch_of_repeats_writes_nothing_and_can_be_waited_for(
    http: httpx.AsyncClient, log: LogView, anima: Anima
) -> None:
    batch = [{"event_type": "x", "content": key, "dedupe_key": key} for key in ("a", "b")]
    first = (await http.post("/events/batch", json={"anima_id": anima.id, "events": batch})).json()
    await http.post("/events", json=anima.event("Later."))
    await http.get("/events", params={"anima_id": anima.id, "after": first["after"]})
    end = await log.end(anima)
    again = (await http.post("/events/batch", json={"anima_id": anima.id, "events": batch})).json()
    assert again == {"after": first["after"], "accepted": 0, "repeated": 2}
    assert await log.since(anima, end) == []


async def test_keys_of_two_animas_are_two_keys(http: httpx.AsyncClient, anima: Anima) -> None:
    other = await new_anima(http)
    ids = {(await http.post("/events", json=each.event(dedupe_key="k"))).json()["id"] for each in (anima, other)}
    assert len(ids) == 2


async def test_what_the_sink_has_not_seen(make_world: MakeWorld, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the sink stands still: 202 for an undecided key, no row without `after`, 503 with it; then it goes on."""
    monkeypatch.setattr(events, "DECIDE_S", 0.1)
    world = await make_world(after_timeout_s=0.5)
    sink, patient = world.stage("sink"), world.settings.model_copy(update={"after_timeout_s": 30.0})
    anima = await new_anima(await connected(await serve(patient)))
    http = await connected(await serve(world.settings))
    sink.send_signal(signal.SIGSTOP)
    undecided = await http.post("/events", json=anima.event(dedupe_key="k"))
    assert (undecided.status_code, undecided.json()["seq"]) == (202, None)
    by_after = {"anima_id": anima.id, "after": undecided.json()["position"]}
    assert (await http.get("/events", params={"anima_id": anima.id})).json() == []
    late = await http.get("/events", params=by_after)
    assert (late.status_code, late.headers["Retry-After"]) == (503, "1")
    changed = await http.patch(f"/animas/{anima.id}", json={"name": "New"})
    assert changed.status_code == 503
    assert "do not repeat it" in changed.json()["detail"]
    waiting = asyncio.ensure_future(http.get("/events", params=by_after))
    sink.send_signal(signal.SIGCONT)
    assert [event["id"] for event in (await waiting).json()] == [undecided.json()["id"]]
    log = await log_view(world.settings)
    records = await log.since(anima, 0)
    await log.kafka.stop()
    assert len(records) == 3  # created, one event, renamed
