"""The accumulation rule: when a window of one anima's events is due to become a memory. Pure; time is an argument.

    score = hours since the first pending event x time_weight + events x event_weight + tokens x token_weight

The score is linear in time, so the moment at which it crosses the threshold is computed, never polled: a window fires
at exactly that moment, whenever a tick or a later record shows that it has passed, and holds exactly the events before
it. All times are milliseconds of log time (a partition's clock: the largest timestamp seen in it so far).
"""

from bisect import bisect_left
from typing import Literal, NamedTuple

HOUR_MS = 3_600_000
CENTURY_MS = 100 * 365 * 24 * HOUR_MS
Reason = Literal["score", "window_tokens"]


class Rule(NamedTuple):
    """Weights per hour, event and token; the threshold; and the most tokens that a window may hold."""

    time_weight: float = 1.0
    event_weight: float = 0.5
    token_weight: float = 0.0003
    threshold: float = 10.0
    window_tokens: int = 8000


class Window(NamedTuple):
    """Pending events, from the first offset to the last, both included; since and seen in ms of log time."""

    first_offset: int
    last_offset: int
    events: int
    tokens: int
    since: int


class Fired(NamedTuple):
    window: Window
    at: int
    score: float
    threshold: float
    reason: Reason


class Accumulation(NamedTuple):
    """State of one anima. `weights` is None while the defaults apply; `absorbed` is the last offset taken in."""

    absorbed: int = -1
    window: Window | None = None
    weights: tuple[float, float, float, float] | None = None

    def rule(self, defaults: Rule) -> Rule:
        return Rule(*self.weights, window_tokens=defaults.window_tokens) if self.weights else defaults


def score(window: Window | None, rule: Rule, now: int) -> float:
    """The score at `now`. Zero without pending events: silence earns nothing."""
    if window is None:
        return 0.0
    hours = max(0, now - window.since) / HOUR_MS
    return hours * rule.time_weight + window.events * rule.event_weight + window.tokens * rule.token_weight


def due(window: Window | None, rule: Rule) -> int | None:
    """The first ms of log time at which the window's score reaches the threshold; None if that takes a century."""
    if window is None:
        return None
    missing = rule.threshold - score(window, rule, window.since)
    if missing <= 0:
        return window.since
    if missing > rule.time_weight * CENTURY_MS / HOUR_MS:
        return None
    # The quotient rounds, and so does the score: the moment is verified, and searched for where it is another.
    near = window.since + int(missing / rule.time_weight * HOUR_MS)
    for at in (near + 1, near):
        if score(window, rule, at - 1) < rule.threshold <= score(window, rule, at):
            return at
    moments = range(window.since, window.since + 2 * CENTURY_MS)
    return moments[0] + bisect_left(moments, rule.threshold, key=lambda now: score(window, rule, now))


def expire(state: Accumulation, now: int, defaults: Rule) -> tuple[Accumulation, Fired | None]:
    """What a clock that shows `now` does: fire the pending window if it was due by then, at the moment it was due."""
    rule = state.rule(defaults)
    if state.window is None or score(state.window, rule, now) < rule.threshold:
        return state, None
    at = due(state.window, rule)
    at = now if at is None else at
    return state._replace(window=None), Fired(state.window, at, score(state.window, rule, at), rule.threshold, "score")


def absorb(
    state: Accumulation, offset: int, now: int, tokens: int, defaults: Rule
) -> tuple[Accumulation, tuple[Fired, ...]]:
    """One event of `tokens` tokens at `offset`, seen when the partition's clock shows `now`.

    What was due before it fires without it; an event that would exceed the window's tokens starts the next window; an
    event that carries the score over the threshold is the last of its window. Offsets absorbed before change nothing.
    """
    if offset <= state.absorbed:
        return state, ()
    rule, window = state.rule(defaults), state.window
    if window is not None:  # the common case first: the event joins a window that is not due, before or after it
        joined = Window(window.first_offset, offset, window.events + 1, window.tokens + tokens, window.since)
        if joined.tokens <= rule.window_tokens and score(joined, rule, now) < rule.threshold:
            return Accumulation(offset, joined, state.weights), ()
    state, fired = expire(state, now, defaults)
    fires = [fired] if fired else []
    window = state.window
    if window is not None and window.tokens + tokens > rule.window_tokens:
        fires.append(Fired(window, now, score(window, rule, now), rule.threshold, "window_tokens"))
        window = None
    if window is None:
        window = Window(offset, offset, 1, tokens, now)
    else:
        window = Window(window.first_offset, offset, window.events + 1, window.tokens + tokens, window.since)
    if (reached := score(window, rule, now)) >= rule.threshold:
        fires.append(Fired(window, now, reached, rule.threshold, "score"))
        window = None
    return Accumulation(offset, window, state.weights), tuple(fires)


def configure(
    state: Accumulation, offset: int, now: int, weights: tuple[float, float, float, float] | None, defaults: Rule
) -> tuple[Accumulation, tuple[Fired, ...]]:
    """A change of weights at `offset`. It holds from `now` on: a window that had been due before it fires by the old
    ones, one that the new weights make due fires at `now`."""
    if offset <= state.absorbed:
        return state, ()
    state, before = expire(state, now, defaults)
    state = state._replace(weights=weights, absorbed=offset)
    rule, after = state.rule(defaults), None
    if state.window is not None and (reached := score(state.window, rule, now)) >= rule.threshold:
        after = Fired(state.window, now, reached, rule.threshold, "score")
        state = state._replace(window=None)
    return state, tuple(fired for fired in (before, after) if fired)
