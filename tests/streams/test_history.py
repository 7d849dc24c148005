"""What a report says of readings, and that remembering them takes no more room with time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.history import History, LagReport
from streams.lag import Lag, Reading
from streams.lag_watch import LOOKS
from streams.offsets import Group
from streams.verdict import Verdict

WINDOW_S = 10.0


def reading(at: float, *partitions: tuple[int | None, int], members: int = 1) -> Reading:
    """Of one stage: committed and end of each partition."""
    lags = [Lag("sink", "g", "events", number, committed, 0, end) for number, (committed, end) in enumerate(partitions)]
    return Reading(at, {"sink": Group("Stable" if members else "Empty", members)}, lags)


def after(*readings: Reading) -> LagReport:
    """The report on the last, the others remembered."""
    history = History(WINDOW_S)
    for one in readings[:-1]:
        history.add(one)
    return history.report(readings[-1])


def test_the_first_look() -> None:
    report = after(reading(100, (None, 7), (5, 5)))
    assert (report.total, report.window_s, report.complete) == (7, 10, 0)
    assert report.stages["sink"].model_dump() == {
        "group": "g", "state": "Stable", "members": 1, "verdict": "OK", "lag": 7, "seconds": 0, "commit_age_s": 0,
    }  # fmt: skip
    assert [(one.committed, one.end, one.lag) for one in report.partitions] == [(None, 7, 7), (5, 5, 0)]


def test_waiting_counts_from_when_there_was_something_to_do() -> None:
    idle = [reading(at, (5, 5)) for at in range(50)]
    told = after(*idle, reading(50, (5, 6)), reading(53, (5, 9))).partitions[0]
    assert (told.commit_age_s, told.seconds) == (4, 3)  # since it was last seen idle; since the record was seen
    assert after(*idle, reading(50, (5, 6)), reading(51, (5, 9)), reading(53, (6, 9))).partitions[0].commit_age_s == 0


def test_seconds_are_those_of_the_first_record_that_waits() -> None:
    seen = [reading(at, (100 + at, 110 + at)) for at in range(21)]
    assert after(*seen).partitions[0].seconds == pytest.approx(9)  # the eleventh from the end came nine seconds ago
    assert after(*seen, reading(25, (131, 131))).partitions[0].seconds == 0


def test_a_stage_has_its_worst_partitions_verdict_and_the_sum_of_the_lag() -> None:
    report = after(*[reading(at, (at, at), (3, 9), members=0) for at in range(12)])
    assert [one.verdict for one in report.partitions] == [Verdict.OK, Verdict.STOP]
    stage = report.stages["sink"]
    assert (stage.verdict, stage.lag, stage.commit_age_s, stage.seconds) == (Verdict.STOP, 6, 11, 11)
    assert (stage.state, stage.members, report.complete) == ("Empty", 0, 1)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=30))
def test_asking_changes_nothing(states: list[tuple[int, int]]) -> None:
    asked, quiet = History(WINDOW_S), History(WINDOW_S)
    for at, (committed, end) in enumerate(states):
        one = reading(at, (committed, end))
        assert asked.report(one) == quiet.report(one) == asked.report(one)
        asked.add(one)
        quiet.add(one)


def test_what_is_remembered_is_bounded() -> None:
    history, every_s = History(WINDOW_S), WINDOW_S / LOOKS
    for number in range(5_000):
        history.add(reading(number * every_s, (number, 2 * number)))
    (track,), (looks,) = history.tracks.values(), history.ends.values()
    assert len(track.seen) <= LOOKS + 1
    assert len(looks) <= 64
