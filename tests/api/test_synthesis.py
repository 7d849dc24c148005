"""Weights through the log, and how far the next memory is."""

from datetime import datetime, timedelta

import httpx
import orjson
import pytest

from agents.tokens import count_tokens
from api.pending import PendingEvent, pending
from tables.accumulation import HOUR_MS, Rule
from tests.api.conftest import Anima, LogView, eventually

DEFAULTS = {"time_weight": 1.0, "event_weight": 0.5, "token_weight": 0.0003, "threshold": 10.0}
OWN = {"time_weight": 0.0, "event_weight": 2.0, "token_weight": 0.001, "threshold": 5.0}


async def test_weights_come_from_the_log_and_go_back_to_the_defaults(
    http: httpx.AsyncClient, log: LogView, anima: Anima
) -> None:
    path, end = f"/animas/{anima.id}/synthesis-config", await log.end(anima)
    default = {"anima_id": anima.id, "source": "default"} | DEFAULTS
    assert (await http.get(path)).json() == default
    own = {"anima_id": anima.id, "source": "own"} | OWN
    assert (await http.put(path, json=OWN)).json() == own
    assert (await http.get(path)).json() == own
    assert (await http.delete(path)).json() == default
    assert (await http.get(path)).json() == default
    records = [orjson.loads(record.value or b"") for record in await log.since(anima, end)]
    assert [record["weights"] for record in records] == [OWN, None]


async def test_status_before_the_first_event(http: httpx.AsyncClient, anima: Anima) -> None:
    status = (await http.get(f"/animas/{anima.id}/synthesis-status")).json()
    assert (status["score"], status["threshold"], status["window"], status["fires_at"]) == (0, 10, None, None)


async def test_status_says_what_accumulates_and_when_it_is_due(http: httpx.AsyncClient, anima: Anima) -> None:
    texts = ("Milk is out.", "So is sugar.", "Tea, then?")
    sent = [(await http.post("/events", json=anima.event(text))).json() for text in texts]
    path, after = f"/animas/{anima.id}/synthesis-status", {"after": sent[-1]["position"]}
    status = (await http.get(path, params=after)).json()
    tokens = sum(map(count_tokens, texts))
    factors = status["factors"]
    assert (factors["events"]["amount"], factors["events"]["contribution"]) == (3, 1.5)
    assert (factors["tokens"]["amount"], factors["tokens"]["contribution"]) == (tokens, pytest.approx(tokens * 0.0003))
    assert status["score"] == pytest.approx(sum(factor["contribution"] for factor in factors.values()))
    assert (status["window"]["first"], status["window"]["last"]) == (sent[0]["position"], sent[2]["position"])
    wait = timedelta(hours=10 - 1.5 - tokens * 0.0003)
    due = datetime.fromisoformat(status["window"]["since"]) + wait
    assert abs(datetime.fromisoformat(status["fires_at"]) - due) < timedelta(milliseconds=2)


async def test_a_synthesised_window_no_longer_counts(http: httpx.AsyncClient, anima: Anima) -> None:
    path = f"/animas/{anima.id}/synthesis-status"
    await http.put(f"/animas/{anima.id}/synthesis-config", json=OWN)
    second = [(await http.post("/events", json=anima.event(f"Number {n}."))).json() for n in range(2)][-1]
    status = (await http.get(path, params={"after": second["position"]})).json()
    assert (status["factors"]["events"]["contribution"], status["fires_at"]) == (4, None)
    await http.post("/events", json=anima.event("The third makes six."))

    async def synthesised() -> bool:
        now = (await http.get(path)).json()
        return now["window"] is None and now["due_windows"] == 0 and now["score"] == 0

    await eventually(synthesised)


def test_backlog_is_cut_into_the_windows_that_are_due() -> None:
    rule = Rule(time_weight=1, event_weight=1, token_weight=0, threshold=3)
    events = [PendingEvent(offset, offset, "x") for offset in range(7)]
    found = pending(events, None, rule, clock_ms=7)
    assert found.due_windows == 2
    assert found.state.window is not None
    assert (found.state.window.first_offset, found.state.window.events) == (6, 1)
    assert pending(events, None, rule, clock_ms=6 + 2 * HOUR_MS).due_windows == 3
    assert pending(events, (0, 1, 0, 50), rule, clock_ms=7).due_windows == 0
