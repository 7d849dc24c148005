"""How far one anima is from its next memory, computed from rows by the rule that the stage `score` applies."""

from collections.abc import Iterable
from typing import NamedTuple

from agents.tokens import count_tokens
from tables.accumulation import Accumulation, Rule, absorb, expire


class PendingEvent(NamedTuple):
    """An event that no window has claimed; `recorded_ms` is its timestamp in the log."""

    offset: int
    recorded_ms: int
    content: str


class Pending(NamedTuple):
    """What accumulates, and how many windows are due already, waiting for their synthesis."""

    state: Accumulation
    due_windows: int


def pending(
    events: Iterable[PendingEvent],
    weights: tuple[float, float, float, float] | None,
    defaults: Rule,
    clock_ms: int,
) -> Pending:
    """`weights` are the anima's own, or None; `events` in log order; `clock_ms` is the partition's clock. Pure."""
    state, due, now = Accumulation(weights=weights), 0, 0
    for event in events:
        now = max(now, event.recorded_ms)
        state, fired = absorb(state, event.offset, now, count_tokens(event.content), defaults)
        due += len(fired)
    state, last = expire(state, max(now, clock_ms), defaults)
    return Pending(state, due + (last is not None))
