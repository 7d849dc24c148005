"""Folding does not depend on how the log is cut into batches, on redelivery, or on when ticks come."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.decode import Decoded, Undecodable
from streams.records import Tick
from tables.accumulation import Accumulation, Fired, Rule, due
from tables.fold import LEAST, Timers, fold
from tables.store import Mark, clock_at, kept
from tests.tables.conftest import ANIMAS, START, Entry, Worker, count, event, logs, rules


def cut(log: list[Entry], at: list[int]) -> list[list[Entry]]:
    edges = sorted({0, len(log), *(edge % (len(log) + 1) for edge in at)})
    return [log[first:last] for first, last in pairwise(edges)]


def whole(rule: Rule, log: list[Entry]) -> Worker:
    worker = Worker(rule)
    if log:
        worker.fold(log, 0)
    return worker


@given(rules, logs(), st.lists(st.integers(0, 30)))
def test_batches_do_not_matter(rule: Rule, log: list[Entry], at: list[int]) -> None:
    worker, clock = Worker(rule), 0
    for batch in cut(log, at):
        clock = worker.fold(batch, clock).clock
    assert worker.windows() == whole(rule, log).windows()
    assert worker.states == whole(rule, log).states


class Crashing:
    """A worker with what of it outlives a crash: the state on the changelog and the commit."""

    def __init__(self, rule: Rule) -> None:
        self.worker, self.rule = Worker(rule), rule
        self.states: dict[Any, Accumulation] = {}
        self.marks: list[Mark] = []
        self.committed = self.position = 0
        self.live: list[Mark] = []

    def absorb(self, batch: list[Entry]) -> None:
        """As Score.absorb, up to the writes."""
        mark = self.worker.fold(batch, clock_at(self.position, self.live))
        self.live = kept([*self.live, mark], self.committed)
        self.position = mark.offset

    def write(self) -> None:
        self.states, self.marks = dict(self.worker.states), list(self.live)

    def crash(self, written: set[Any]) -> None:
        """In the middle of the writes: some states are there, the marks, which come last, are not."""
        self.states |= {anima: state for anima, state in self.worker.states.items() if anima in written}
        self.worker.states, self.worker.timers, self.live = dict(self.states), Timers(), list(self.marks)
        for anima, state in self.states.items():
            at = due(state.window, state.rule(self.rule))
            if at is not None:
                self.worker.timers.put(anima, at)
        self.position = self.committed


def distinct(windows: dict[Any, list[Fired]]) -> dict[Any, set[Fired]]:
    return {anima: set(fired) for anima, fired in windows.items()}


@given(rules, logs(), st.data())
def test_redelivery_does_not_matter(rule: Rule, log: list[Entry], data: st.DataObject) -> None:
    """From any commit, cut into other batches, with only some of the states written."""
    crashing, crashes = Crashing(rule), data.draw(st.integers(0, 5))
    while crashing.position < len(log):
        size = data.draw(st.integers(1, len(log) - crashing.position))
        crashing.absorb(log[crashing.position : crashing.position + size])
        if crashes and data.draw(st.booleans()):
            crashes -= 1
            crashing.crash(data.draw(st.sets(st.sampled_from(ANIMAS))))
            continue
        crashing.write()
        commits = [mark.offset for mark in crashing.marks if crashing.committed <= mark.offset <= crashing.position]
        crashing.committed = data.draw(st.sampled_from(commits))
        if crashes and data.draw(st.booleans()):
            crashes -= 1
            crashing.crash(set(ANIMAS))
    assert distinct(crashing.worker.windows()) == distinct(whole(rule, log).windows())
    assert crashing.worker.states == whole(rule, log).states


def with_ticks(log: list[Entry], after: list[int]) -> list[Entry]:
    """The log with ticks that tell nothing new: each shows what the record before it has shown. Offsets stay."""
    ticked = list(log)
    for at in sorted((one % len(log) for one in after), reverse=True):
        clock = max(entry.timestamp for entry in log[: at + 1])
        ticked.insert(at + 1, Entry(log[at].offset, clock, None, Tick()))
    return ticked


@given(rules, logs(), st.lists(st.integers(0, 100), max_size=20))
def test_ticks_that_tell_nothing_new_do_not_matter(rule: Rule, log: list[Entry], after: list[int]) -> None:
    if log:
        assert whole(rule, with_ticks(log, after)).windows() == whole(rule, log).windows()


@given(rules, logs(), st.lists(st.integers(0, 10**9), min_size=1, max_size=5))
def test_one_late_tick_fires_what_many_would_have(rule: Rule, log: list[Entry], waits: list[int]) -> None:
    """However often the clock is shown on the way, the same windows fire at the same moments."""
    end = max((entry.timestamp for entry in log), default=START) + sum(waits)
    steps = [end - sum(waits[number:]) for number in range(1, len(waits) + 1)]
    patient, eager = whole(rule, log), whole(rule, log)
    clock = max((entry.timestamp for entry in log), default=0)
    patient.fold([Entry(len(log), end, None, Tick())], clock)
    for step in steps:
        eager.fold([Entry(len(log), step, None, Tick())], clock)
    assert eager.windows() == patient.windows()
    assert eager.states == patient.states


def refuse(entry: Any) -> Decoded:
    if entry.offset == 1:
        raise Undecodable("no")
    return entry.anima, entry.record


def test_what_cannot_be_decoded_moves_the_clock_and_nothing_else() -> None:
    log: list[Any] = [
        Entry(0, START, ANIMAS[0], event()),
        Entry(1, START + 5, ANIMAS[0], event()),
        Entry(2, START, None, Tick()),
    ]
    folded = fold(log, 0, lambda _: Accumulation(), Timers(), Rule(), refuse, count)
    assert folded.clock == START + 5
    assert [(state.absorbed, state.window.events) for state in folded.states.values() if state.window] == [(0, 1)]


@given(st.lists(st.tuples(st.sampled_from(ANIMAS), st.integers(0, 20))), st.integers(0, 20))
def test_timers_forget_what_no_longer_holds(put: list[tuple[Any, int]], now: int) -> None:
    timers, current = Timers(), dict(put)
    for anima, at in put:
        timers.put(anima, at)
    assert timers.next(current.get) == min(current.values(), default=None)
    assert {anima for anima, at in current.items() if at <= now} <= set(timers.pop(now))


def test_timers_of_an_anima_that_goes_on_speaking_do_not_pile_up() -> None:
    timers, at = Timers(), 10**9
    for _ in range(20_000):
        at -= 1  # every event brings the moment forward
        timers.put(ANIMAS[0], at)
        assert timers.next({ANIMAS[0]: at}.get) == at
    assert len(timers._heap) <= 2 * LEAST


def test_the_clock_survives_a_crash_before_late_records() -> None:
    """Records that are late do not set the clock back, even where reading begins with them."""
    said = zip((1, 2, 3), (ANIMAS[0], ANIMAS[0], ANIMAS[1]), strict=True)
    log = [Entry(0, START + 5_000, None, Tick()), *(Entry(at, START, anima, event()) for at, anima in said)]
    crashing = Crashing(Rule())
    for batch in (log[:1], log[1:3]):
        crashing.absorb(batch)
        crashing.write()
        crashing.committed = 1
    crashing.absorb(log[3:])
    crashing.crash(set())
    crashing.absorb(log[1:])
    assert crashing.worker.states == whole(Rule(), log).states
    pending = crashing.worker.load(ANIMAS[1]).window
    assert pending is not None
    assert pending.since == START + 5_000


@given(st.lists(st.integers(1, 50), unique=True), st.integers(0, 50))
def test_marks_are_kept_from_the_commit_on(offsets: list[int], committed: int) -> None:
    marks = [Mark(0, 0), *(Mark(offset, offset) for offset in sorted(offsets))]
    at_commit = max(mark for mark in marks if mark.offset <= committed)
    assert kept(reversed(marks), committed) == [at_commit, *(mark for mark in marks if mark.offset > committed)]
