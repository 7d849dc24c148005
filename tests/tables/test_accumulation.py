"""The accumulation rule against its vectors, its promises, and a naive simulator that polls."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.records import Configure, Event, Weights
from tables.accumulation import HOUR_MS, Accumulation, Fired, Rule, Window, absorb, configure, due, expire, score
from tests.tables.conftest import ANIMAS, START, Entry, Worker, logs, rules, weights

DEFAULTS = Rule()


def window(events: int, tokens: int = 0, since: int = START) -> Window:
    return Window(0, events - 1, events, tokens, since)


def poured(events: int, tokens: int = 0, rule: Rule = DEFAULTS) -> tuple[Accumulation, list[Fired]]:
    """The state after so many events at one moment, and what fired."""
    state = Accumulation()
    fired: list[Fired] = []
    for offset in range(events):
        state, fires = absorb(state, offset, START, tokens, rule)
        fired += fires
    return state, fired


@pytest.mark.parametrize(
    ("hours", "events", "tokens", "expected"),
    [(3, 14, 0, 10.0), (2, 5, 0, 4.5), (0, 20, 0, 10.0), (0, 0, 3_333, 1.0)],
)
def test_the_score_of_the_vectors(hours: int, events: int, tokens: int, expected: float) -> None:
    reached = score(window(events, tokens), DEFAULTS, START + hours * HOUR_MS)
    assert reached == pytest.approx(expected, abs=2e-4)


def test_three_hours_and_fourteen_events_fire() -> None:
    state, early = poured(14)
    before, none = expire(state, START + 3 * HOUR_MS - 1, DEFAULTS)
    after, fired = expire(state, START + 3 * HOUR_MS, DEFAULTS)
    assert (early, none, before) == ([], None, state)
    assert fired == Fired(window(14), START + 3 * HOUR_MS, 10.0, 10.0, "score")
    assert after.window is None


def test_two_hours_and_five_events_wait() -> None:
    state, _ = poured(5)
    assert expire(state, START + 2 * HOUR_MS, DEFAULTS) == (state, None)
    assert due(state.window, DEFAULTS) == START + 7.5 * HOUR_MS


def test_at_once_it_takes_twenty_events() -> None:
    assert poured(19)[1] == []
    assert [fired.window.events for fired in poured(20)[1]] == [20]


def test_silence_earns_nothing() -> None:
    assert score(None, DEFAULTS, START + 10 * HOUR_MS) == 0
    assert due(None, DEFAULTS) is None
    assert expire(Accumulation(), START + 10**6 * HOUR_MS, DEFAULTS) == (Accumulation(), None)


def test_hours_count_from_the_first_pending_event() -> None:
    state, fires = absorb(Accumulation(), 0, START + 1_000 * HOUR_MS, 0, DEFAULTS)
    assert fires == ()
    assert state.window == Window(0, 0, 1, 0, START + 1_000 * HOUR_MS)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("time_weight", 0, 5), ("event_weight", 0, 2), ("token_weight", 0, 0.001), ("threshold", 1, 50)],
)
def test_the_ranges_of_weights(name: str, least: float, most: float) -> None:
    for allowed in (least, most):
        assert getattr(Weights(**weights(DEFAULTS).model_dump() | {name: allowed}), name) == allowed
    for wrong in (least - 0.0001, most + 0.0001, float("nan"), float("inf")):
        with pytest.raises(ValidationError, match=name):
            Weights(**weights(DEFAULTS).model_dump() | {name: wrong})


@given(rules, st.integers(1, 100), st.integers(0, 20_000), st.integers(0, START))
def test_the_moment_of_crossing_is_exact(rule: Rule, events: int, tokens: int, since: int) -> None:
    pending = window(events, tokens, since)
    at = due(pending, rule)
    if at is None:
        assert score(pending, rule, since + 99 * 365 * 24 * HOUR_MS) < rule.threshold
        return
    assert score(pending, rule, at) >= rule.threshold
    assert at == since or score(pending, rule, at - 1) < rule.threshold


@pytest.mark.parametrize("time_weight", [0.0, 5e-324, 1e-300, 1e-20, 1e-9, 1.0])
@pytest.mark.parametrize("below", [0.0, 1e-15, 1e-9, 1.0])
def test_weights_near_zero_neither_overflow_nor_hang(time_weight: float, below: float) -> None:
    rule = Rule(time_weight=time_weight, event_weight=2 - below, threshold=2.0)
    at = due(window(1), rule)
    assert at is None or score(window(1), rule, at) >= rule.threshold


def test_zero_weights_never_fire_by_themselves() -> None:
    state, fired = poured(1_000, rule=Rule(0, 0, 0, 1.0))
    assert (fired, due(state.window, Rule(0, 0, 0, 1.0))) == ([], None)


def test_an_event_that_exceeds_the_tokens_begins_the_next_window() -> None:
    rule = Rule(token_weight=0.0, window_tokens=500)
    state, _ = absorb(Accumulation(), 3, START, 300, rule)
    state, fits = absorb(state, 5, START, 200, rule)
    state, cut = absorb(state, 8, START + 60_000, 1, rule)
    assert fits == ()
    assert [(one.window, one.at, one.reason) for one in cut] == [
        (Window(3, 5, 2, 500, START), START + 60_000, "window_tokens")
    ]
    assert state.window == Window(8, 8, 1, 1, START + 60_000)


def test_one_event_may_be_larger_than_a_window() -> None:
    state, fires = absorb(Accumulation(), 0, START, 9_000, Rule(token_weight=0.0))
    assert (fires, state.window) == ((), Window(0, 0, 1, 9_000, START))


def test_new_weights_hold_from_where_they_stand_in_the_log() -> None:
    state, _ = poured(14)
    heavier = (1.0, 1.0, 0.0, 12.0)
    later, fires = configure(state, 14, START + HOUR_MS, heavier, DEFAULTS)
    assert [(fired.at, fired.score, fired.threshold) for fired in fires] == [(START + HOUR_MS, 15.0, 12.0)]
    assert later == Accumulation(14, None, heavier)


def test_what_was_due_under_the_old_weights_fires_by_them() -> None:
    state, _ = poured(14)
    later, fires = configure(state, 14, START + 9 * HOUR_MS, (1.0, 0.0, 0.0, 50.0), DEFAULTS)
    assert [(fired.at, fired.threshold) for fired in fires] == [(START + 3 * HOUR_MS, 10.0)]
    assert later.window is None


def test_weights_can_return_to_the_defaults() -> None:
    state, _ = configure(Accumulation(), 0, START, (0.0, 0.0, 0.0, 50.0), DEFAULTS)
    state, _ = configure(state, 1, START, None, DEFAULTS)
    assert state == Accumulation(1)


@given(rules, st.integers(0, 50), st.integers(0, 50))
def test_an_offset_is_absorbed_once(rule: Rule, absorbed: int, offset: int) -> None:
    state, _ = absorb(Accumulation(), absorbed, START, 10, rule)
    again, fires = absorb(state, offset, START + HOUR_MS, 10, rule)
    changed, _ = configure(state, offset, START + HOUR_MS, (0.0, 0.0, 0.0, 50.0), rule)
    if offset <= absorbed:
        assert (again, fires, changed) == (state, (), state)
    else:
        assert again.absorbed == changed.absorbed == offset


class Simulator:
    """The same rule without its cleverness: at every record it looks at every anima, and asks for the score."""

    def __init__(self, defaults: Rule) -> None:
        self.defaults = defaults
        self.clock = 0
        self.rules: dict[UUID, Rule] = {}
        self.pending: dict[UUID, list[Entry]] = {anima: [] for anima in ANIMAS}
        self.since: dict[UUID, int] = {}
        self.windows: dict[UUID, list[tuple[int, ...]]] = {anima: [] for anima in ANIMAS}

    def read(self, entry: Entry) -> None:
        self.clock = max(self.clock, entry.timestamp)
        self.look()
        if isinstance(entry.record, Configure) and entry.anima:
            chosen = entry.record.weights
            rule = self.defaults._replace(**chosen.model_dump()) if chosen else self.defaults
            self.rules[entry.anima] = rule
        elif isinstance(entry.record, Event) and entry.anima:
            self.add(entry.anima, entry)
        self.look()

    def add(self, anima: UUID, entry: Entry) -> None:
        tokens = sum(one.tokens for one in self.pending[anima]) + entry.tokens
        if self.pending[anima] and tokens > self.rules.get(anima, self.defaults).window_tokens:
            self.fire(anima)
        if not self.pending[anima]:
            self.since[anima] = self.clock
        self.pending[anima].append(entry)

    def look(self) -> None:
        for anima, pending in self.pending.items():
            rule, tokens = self.rules.get(anima, self.defaults), sum(one.tokens for one in pending)
            if pending:
                hours = (self.clock - self.since[anima]) / HOUR_MS
                reached = hours * rule.time_weight + len(pending) * rule.event_weight + tokens * rule.token_weight
                if reached >= rule.threshold:
                    self.fire(anima)

    def fire(self, anima: UUID) -> None:
        self.windows[anima].append(tuple(one.offset for one in self.pending[anima]))
        self.pending[anima] = []


@given(rules, logs())
def test_the_rule_cuts_the_windows_that_polling_cuts(rule: Rule, log: list[Entry]) -> None:
    simulator, worker = Simulator(rule), Worker(rule)
    for entry in log:
        simulator.read(entry)
    if log:
        worker.fold(log, 0)
    for anima, windows in worker.windows().items():
        found = [(fired.window.first_offset, fired.window.last_offset, fired.window.events) for fired in windows]
        assert found == [(offsets[0], offsets[-1], len(offsets)) for offsets in simulator.windows[anima]]


@given(rules, logs())
def test_every_event_is_in_one_window_or_pending(rule: Rule, log: list[Entry]) -> None:
    worker = Worker(rule)
    if log:
        worker.fold(log, 0)
    for anima, fired in worker.windows().items():
        offsets = [entry.offset for entry in log if entry.anima == anima and isinstance(entry.record, Event)]
        pending = worker.load(anima).window
        windows = [one.window for one in fired] + ([pending] if pending else [])
        covered = [[at for at in offsets if one.first_offset <= at <= one.last_offset] for one in windows]
        assert [at for one in covered for at in one] == offsets
        assert [len(one) for one in covered] == [one.events for one in windows]
        assert all(before.last_offset < after.first_offset for before, after in pairwise(windows))
        assert all(one.score >= one.threshold or one.reason == "window_tokens" for one in fired)
