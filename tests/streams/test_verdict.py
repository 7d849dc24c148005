"""Burrow's rules, and what they must not depend on."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.verdict import Seen, Verdict, complete, verdict, window, worst

WINDOW_S = 10
# One look a second: how far the group moved since the one before, and how many records came.
steps = st.lists(st.tuples(st.integers(-2, 6), st.integers(0, 6)), min_size=1, max_size=25)
forward = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)
slow = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 2)), min_size=9, max_size=14)
attendance = st.booleans()


def looks(taken: Sequence[tuple[int, int]], start: int = 100, behind: int = 20) -> list[Seen]:
    next_, end, seen = start, start + behind, []
    for at, (moved, came) in enumerate(taken):
        end += came
        next_ = min(max(0, next_ + moved), end)
        seen.append(Seen(at, next_, end))
    return seen


def judged(seen: Sequence[Seen], attended: bool = True) -> Verdict:
    return verdict(seen, seen[-1].at, WINDOW_S, attended=attended)


def lately(seen: Sequence[Seen]) -> Sequence[Seen]:
    return window(seen, seen[-1].at - WINDOW_S)


# A window is ten seconds: eleven looks, the first of them at its beginning.
@pytest.mark.parametrize(
    ("taken", "attended", "expected"),
    [
        ([(1, 1)] * 11, True, Verdict.WARN),  # keeps pace and does not catch up
        ([(1, 2)] * 11, True, Verdict.WARN),
        ([(1, 1)] * 5 + [(0, 1)] * 6, True, Verdict.WARN),  # moved in the window, if not at its end
        ([(1, 1)] * 5 + [(2, 1)] + [(1, 1)] * 5, True, Verdict.OK),  # came nearer once
        ([(0, 1)] * 11, True, Verdict.STALL),
        ([(0, 0)] * 11, True, Verdict.STALL),
        ([(0, 1)] * 11, False, Verdict.STOP),
        ([(0, 1)] * 10, True, Verdict.OK),  # not watched for long enough
        ([(1, 0)] * 5 + [(-1, 0)], True, Verdict.REWIND),  # that is certain at once
        ([(0, 1)] * 10 + [(-1, 0)], False, Verdict.REWIND),  # worse than stopped
        ([(0, 1)] * 4 + [(24, 0)] + [(0, 1)] * 10, True, Verdict.OK),  # was done with all at the window's beginning
        ([(0, 1)] * 4 + [(24, 0)] + [(0, 1)] * 11, True, Verdict.STALL),
        ([(0, 1)] * 11 + [(31, 0)], True, Verdict.OK),  # has just caught up
    ],
)
def test_rules(taken: list[tuple[int, int]], attended: bool, expected: Verdict) -> None:
    assert judged(looks(taken), attended) == expected


@given(steps, attendance, st.data())
def test_any_zero_lag_is_ok(taken: list[tuple[int, int]], attended: bool, data: st.DataObject) -> None:
    seen = looks(taken)
    at = data.draw(st.sampled_from([look.at for look in lately(seen)]))
    assert judged([look._replace(next=look.end) if look.at == at else look for look in seen], attended) == Verdict.OK


def burrow(seen: Sequence[Seen]) -> Verdict:
    """As Burrow evaluates a consumer that commits at every look."""
    offsets, lags = [look.next for look in seen], [look.end - look.next for look in seen]
    if 0 in lags:
        return Verdict.OK
    if sorted(offsets) != offsets:
        return Verdict.REWIND
    if len(set(offsets)) == 1:
        return Verdict.STALL
    return Verdict.WARN if sorted(lags) == lags else Verdict.OK


@given(st.one_of(steps, forward, slow), st.integers(1, 100))
def test_a_group_with_members_is_judged_as_burrow_does(taken: list[tuple[int, int]], behind: int) -> None:
    seen = looks(taken, behind=behind)
    expected = burrow(lately(seen))
    if complete(seen, seen[-1].at, WINDOW_S) < 1 and expected != Verdict.REWIND:
        expected = Verdict.OK
    assert judged(seen) == expected


@given(steps)
def test_without_members_a_stall_is_a_stop_and_nothing_else_changes(taken: list[tuple[int, int]]) -> None:
    seen = looks(taken)
    there, gone = judged(seen, attended=True), judged(seen, attended=False)
    assert gone == (Verdict.STOP if there == Verdict.STALL else there)


@given(forward, attendance)
def test_who_only_goes_forward_never_rewinds(taken: list[tuple[int, int]], attended: bool) -> None:
    assert judged(looks(taken), attended) != Verdict.REWIND


@given(forward, attendance)
def test_one_message_less_behind_is_enough(taken: list[tuple[int, int]], attended: bool) -> None:
    """Whatever else happened in the window."""
    seen = looks([*taken, *[(0, 1)] * 3, (2, 1)], behind=1_000)
    assert any(later.lag < earlier.lag for earlier, later in pairwise(lately(seen)))
    assert judged(seen, attended) == Verdict.OK


@given(steps, attendance, st.integers(-50, 10**9), st.integers(0, 10**12))
def test_only_differences_of_times_and_offsets_count(
    taken: list[tuple[int, int]], attended: bool, later: int, further: int
) -> None:
    seen = looks(taken, start=1_000)
    moved = [Seen(look.at + later, look.next + further, look.end + further) for look in seen]
    assert judged(moved, attended) == judged(seen, attended)


@given(steps, steps, attendance)
def test_what_was_before_the_window_does_not_count(
    before: list[tuple[int, int]], taken: list[tuple[int, int]], attended: bool
) -> None:
    seen = looks([*before, *taken])
    assert judged(lately(seen), attended) == judged(seen, attended)


@given(st.lists(st.sampled_from(Verdict)))
def test_a_group_is_as_bad_as_its_worst_partition(verdicts: list[Verdict]) -> None:
    severity = ["OK", "WARN", "STOP", "STALL", "REWIND"]
    assert worst(verdicts) == max(verdicts, key=severity.index, default="OK")


def test_nothing_seen_is_ok_and_incomplete() -> None:
    assert verdict([], 5, WINDOW_S, attended=False) == Verdict.OK
    assert complete([], 5, WINDOW_S) == 0
    assert complete([Seen(2, 0, 1)], 5, WINDOW_S) == 0.3
