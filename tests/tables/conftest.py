"""Logs of one partition, without Kafka: what the rule is folded over."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from hypothesis import strategies as st

from streams.decode import Decoded, LogRecord
from streams.records import Configure, Event, Tick, Weights
from tables.accumulation import HOUR_MS, Accumulation, Fired, Rule
from tables.fold import Timers, fold
from tables.store import Mark

START = 1_700_000_000_000
ANIMAS = tuple(UUID(int=number) for number in range(1, 4))
SCALES = (1, 1_000, 60_000, HOUR_MS, 5 * HOUR_MS)


class Entry(NamedTuple):
    """A record of a log whose decoding is given; of an event, `tokens` is what it counts."""

    offset: int
    timestamp: int
    anima: UUID | None
    record: LogRecord
    tokens: int = 0
    key: bytes | None = None
    value: bytes | None = b""
    partition: int = 0


def event(content: str = "x") -> Event:
    return Event(event_type="message.in", content=content)


def weights(rule: Rule) -> Weights:
    return Weights(**{name: getattr(rule, name) for name in Weights.model_fields})


rules = st.builds(
    Rule,
    time_weight=st.sampled_from([0.0, 0.1, 1.0, 5.0]) | st.floats(0, 5),
    event_weight=st.sampled_from([0.0, 0.1, 0.5, 2.0]) | st.floats(0, 2),
    token_weight=st.sampled_from([0.0, 0.0003]) | st.floats(0, 0.001),
    threshold=st.sampled_from([1.0, 3.0, 10.0]) | st.floats(1, 50),
    window_tokens=st.integers(500, 3_000),
)
kinds = st.sampled_from(["event"] * 6 + ["tick", "configure"])


@st.composite
def logs(draw: st.DrawFn, longest: int = 30) -> list[Entry]:
    """Events, ticks and changes of weights of three animas; some timestamps lie before their predecessors'."""
    log, now = [], START
    for offset in range(draw(st.integers(0, longest))):
        step = draw(st.integers(-2, 9)) * draw(st.sampled_from(SCALES))
        now = max(START, now + step)
        log.append(draw(entries(offset, now)))
    return log


@st.composite
def entries(draw: st.DrawFn, offset: int, now: int) -> Entry:
    kind, anima = draw(kinds), draw(st.sampled_from(ANIMAS))
    if kind == "tick":
        return Entry(offset, now, None, Tick())
    if kind == "configure":
        chosen = draw(st.none() | rules)
        return Entry(offset, now, anima, Configure(weights=weights(chosen) if chosen else None))
    tokens = draw(st.integers(0, 900))
    return Entry(offset, now, anima, event("x" * tokens or "-"), tokens)


def decode(entry: Any) -> Decoded:
    return entry.anima, entry.record


def count(content: str) -> int:
    return len(content) if content != "-" else 0


class Worker:
    """Folds batches as the stage `score` does, with its state in dictionaries."""

    def __init__(self, defaults: Rule) -> None:
        self.defaults = defaults
        self.states: dict[UUID, Accumulation] = {}
        self.timers = Timers()
        self.fired: list[tuple[UUID, Fired]] = []

    def load(self, anima: UUID) -> Accumulation:
        return self.states.get(anima, Accumulation())

    def fold(self, batch: Sequence[Any], clock: int) -> Mark:
        folded = fold(batch, clock, self.load, self.timers, self.defaults, decode, count)
        self.states |= folded.states
        for anima, at in folded.waiting:
            self.timers.put(anima, at)
        self.fired += folded.fired
        return Mark(batch[-1].offset + 1, folded.clock)

    def windows(self) -> dict[UUID, list[Fired]]:
        """Per anima, in the order of firing."""
        return {anima: [fired for one, fired in self.fired if one == anima] for anima in ANIMAS}
