"""When a stage stops: properties of the rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.failure_share import LEAST, RUN, FailureShare, MostlyFailing, Tally


def tallies(most: int = 6_000) -> st.SearchStrategy[Tally]:
    sizes = st.integers(1, most)
    return sizes.flatmap(lambda n: st.builds(Tally, st.just(n), st.integers(0, n)))


shares = st.floats(0.01, 1.0, allow_nan=False)


def at_most(tally: Tally, share: float) -> Tally:
    return Tally(tally.records, min(tally.failures, int(share * tally.records)))


@given(st.lists(tallies()), shares)
def test_what_keeps_to_the_share_never_stops(batches: list[Tally], share: float) -> None:
    rule = FailureShare(share)
    assert all(rule.admits(at_most(batch, share)) for batch in batches)


@given(st.lists(tallies()))
def test_a_share_of_one_never_stops(batches: list[Tally]) -> None:
    rule = FailureShare(1.0)
    assert all(rule.admits(batch) for batch in batches)


@given(st.lists(tallies(10), max_size=200), st.floats(0.01, 0.99))
def test_few_records_say_nothing(batches: list[Tally], share: float) -> None:
    rule, seen = FailureShare(share), 0
    for batch in batches:
        seen += batch.records
        if seen >= LEAST:
            return
        assert rule.admits(batch)


@given(st.lists(tallies(50), max_size=300), st.floats(0.01, 0.99), st.integers(1, 50))
def test_when_all_fails_it_stops_before_a_run_of_failures_is_buried(
    batches: list[Tally], share: float, size: int
) -> None:
    """Whatever was before: at most one run, and the batch that was under way."""
    rule, buried = FailureShare(share), 0
    for batch in batches:
        rule.admits(batch)
    while rule.admits(Tally(size, size)):
        buried += size
        assert buried <= RUN + 50


@given(st.lists(tallies(), max_size=50), tallies(), shares)
def test_a_refused_batch_changes_nothing_and_is_refused_by_the_next_process(
    batches: list[Tally], last: Tally, share: float
) -> None:
    rule = FailureShare(share)
    for batch in batches:
        rule.admits(batch)
    before = rule.run
    if rule.admits(last):
        return
    assert rule.run == before
    assert not rule.admits(last)
    assert not FailureShare(share, before).admits(last)
    assert FailureShare(share, before).admits(at_most(last, share))
    assert FailureShare(1.0, before).admits(last)


@given(st.lists(tallies(), max_size=400))
def test_what_is_remembered_is_bounded_and_adds_up(batches: list[Tally]) -> None:
    rule = FailureShare(0.5)
    for batch in batches:
        rule.admits(batch)
        assert rule.run == Tally(sum(one.records for one in rule.batches), sum(one.failures for one in rule.batches))
        assert not rule.batches or rule.run.records - rule.batches[0].records < RUN
    assert rule.admits(Tally(0, 0))


@pytest.mark.parametrize("batches", [[Tally(1, 1)] * 60 + [Tally(340, 0)], [Tally(340, 41)], [Tally(20, 1)] * 400])
def test_traffic_with_poison_goes_on(batches: list[Tally]) -> None:
    """A topic that begins badly; every kind of poison among three hundred; one in twenty for ever."""
    rule = FailureShare(0.5)
    assert all(rule.admits(batch) for batch in batches)


def test_the_reason_names_share_count_causes_and_the_way_out() -> None:
    reasons = ["no key", "not JSON", "not JSON"]
    said = str(MostlyFailing("sink", 0.5, Tally(1_000, 400), Tally(1_500, 1_400), reasons))
    for part in ("sink stopped: 1,800 of the last 2,500", "ELEPHANTASM_FAILURE_SHARE=0.5", "no key | not JSON."):
        assert part in said
    assert "ELEPHANTASM_FAILURE_SHARE=1," in said
