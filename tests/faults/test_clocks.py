"""What waits for time does so whatever was before, for as long as it is said to."""

from uuid import UUID

import pytest

from agents.score import rule_of
from stack.settings import Settings
from streams.positions import Position
from streams.records import Configure, Weights
from tables.accumulation import Accumulation, absorb, configure, due
from tests.faults.clocks import unclaimed, waiting

DEFAULTS, NOW = rule_of(Settings(_env_file=None)), 1_700_000_000_000


def chosen(weights: Weights | None) -> tuple[float, float, float, float]:
    assert weights is not None
    return weights.time_weight, weights.event_weight, weights.token_weight, weights.threshold


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("seconds", [3.0, 8.0])
def test_two_events_are_due_by_time_alone(seconds: float, before: int) -> None:
    state = Accumulation()
    for offset in range(before):
        state, _ = absorb(state, offset, NOW - 1_000, 2, DEFAULTS)
    for offset, record in enumerate(waiting(seconds), before):
        if isinstance(record, Configure):
            state, _ = configure(state, offset, NOW, chosen(record.weights), DEFAULTS)
        else:
            state, fired = absorb(state, offset, NOW, 2, DEFAULTS)
            assert fired == ()
    at = due(state.window, state.rule(DEFAULTS))
    assert at is not None
    assert state.window is not None
    assert state.window.events == 2
    assert at - NOW == pytest.approx(1000 * seconds, abs=2)


def test_a_window_is_claimed_when_the_last_claim_reaches_its_end() -> None:
    one, other, end = UUID(int=1), UUID(int=2), Position("events", 3, 7)
    assert unclaimed({one: end}, {one: 7}) == []
    assert unclaimed({one: end}, {one: 6, other: 7}) == [end]
    assert unclaimed({one: end}, {}) == [end]
