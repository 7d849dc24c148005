"""One batch of the log folded into the states it touches. Pure: no Kafka, no Faust, no wall clock."""

import heapq
from collections.abc import Callable, Iterable
from typing import NamedTuple
from uuid import UUID

from streams.decode import Decoded, RawRecord, Undecodable
from streams.records import Configure, Event
from tables.accumulation import Accumulation, Fired, Rule, absorb, configure, due, expire

LEAST = 1_000


class Folded(NamedTuple):
    """`waiting`: when the windows of `states` are due by time. A timer holds while the state that can be loaded says
    so, and may be dropped by anyone who looks while it does not: these are put when `states` can be loaded.
    """

    states: dict[UUID, Accumulation]
    fired: list[tuple[UUID, Fired]]
    clock: int
    waiting: list[tuple[UUID, int]]


class Timers:
    """When the pending windows of a partition are due by time alone. Entries may be stale: `expire` decides."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._most = LEAST  # entries, before those are dropped that no longer hold

    def put(self, anima: UUID, at: int) -> None:
        heapq.heappush(self._heap, (at, anima.int))

    def next(self, current: Callable[[UUID], int | None]) -> int | None:
        """The earliest timer that still holds, given when each anima is due at present; drops those that do not.

        An anima that goes on speaking brings its moment forward again and again, and leaves an entry each time that
        would stay for hours: once there are twice as many as held the last time, all are looked at.
        """
        if len(self._heap) > self._most:
            self._heap = sorted({entry for entry in self._heap if current(UUID(int=entry[1])) == entry[0]})
            self._most = max(LEAST, 2 * len(self._heap))
        while self._heap and current(UUID(int=self._heap[0][1])) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: int) -> Iterable[UUID]:
        """The animas with a timer at or before `now`."""
        while self._heap and self._heap[0][0] <= now:
            yield UUID(int=heapq.heappop(self._heap)[1])


def fold(
    batch: Iterable[RawRecord],
    clock: int,
    load: Callable[[UUID], Accumulation],
    timers: Timers,
    defaults: Rule,
    decode: Callable[[RawRecord], Decoded],
    count: Callable[[str], int],
) -> Folded:
    """The states after `batch`, the windows that fired, and the clock (ms, the largest timestamp seen).

    `load` gives the state before the batch; `count` the tokens of a text. A record that cannot be decoded moves the
    clock and nothing else; the sink puts it into the dead letters. What is due by the end of the batch has fired.
    """
    states: dict[UUID, Accumulation] = {}
    fired: list[tuple[UUID, Fired]] = []
    for raw in batch:
        if raw.timestamp > clock:
            clock = raw.timestamp
        try:
            anima, record = decode(raw)
        except Undecodable:
            continue
        if anima is None:
            continue
        state = states.get(anima) or load(anima)
        if isinstance(record, Event):
            states[anima], fires = absorb(state, raw.offset, clock, count(record.content), defaults)
        elif isinstance(record, Configure) and "weights" in record.model_fields_set:
            weights = record.weights
            chosen = (
                (weights.time_weight, weights.event_weight, weights.token_weight, weights.threshold)
                if weights
                else None
            )
            states[anima], fires = configure(state, raw.offset, clock, chosen, defaults)
        else:
            continue
        if fires:
            fired += [(anima, one) for one in fires]
    waiting = _expire_due(states, fired, clock, load, timers, defaults)
    return Folded(states, fired, clock, waiting)


def _expire_due(
    states: dict[UUID, Accumulation],
    fired: list[tuple[UUID, Fired]],
    clock: int,
    load: Callable[[UUID], Accumulation],
    timers: Timers,
    defaults: Rule,
) -> list[tuple[UUID, int]]:
    """Returns when those of `states` are due that are not by now."""
    waiting, over = [], list(timers.pop(clock))
    for anima, state in states.items():
        at = due(state.window, state.rule(defaults))
        if at is None:
            continue
        if at > clock:
            waiting.append((anima, at))
        else:
            over.append(anima)
    for anima in over:
        state, one = expire(states.get(anima) or load(anima), clock, defaults)
        if one:
            states[anima] = state
            fired.append((anima, one))
    return waiting
