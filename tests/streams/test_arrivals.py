"""When records came, as told from looks at the end, against when they did."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.arrivals import MOST_LOOKS, Look, arrived, look

gaps = st.lists(st.integers(0, 5), min_size=1, max_size=60)


def looked(moments: list[int], records: list[int]) -> list[Look]:
    """At these moments, at a partition to which records came at those."""
    looks: list[Look] = []
    for at in moments:
        look(looks, Look(at, sum(came <= at for came in records)))
    return looks


@given(gaps, st.lists(st.integers(1, 5), min_size=1, max_size=60))
def test_a_record_came_between_the_two_looks_that_it_is_said_to(between: list[int], pauses: list[int]) -> None:
    records, moments = list(accumulate(between)), list(accumulate(pauses))
    looks = looked(moments, records)
    for offset, came in enumerate(records):
        told = arrived(looks, offset)
        if came > moments[-1]:
            assert told is None
        elif came <= moments[0]:
            assert told == moments[0]
        else:
            assert told is not None
            before, then = next(pair for pair in pairwise(moments) if pair[0] < came <= pair[1])
            assert before < told <= then


@given(gaps, st.lists(st.integers(1, 5), min_size=1, max_size=400))
def test_in_the_order_of_offsets_however_much_was_forgotten(between: list[int], pauses: list[int]) -> None:
    looks = looked(list(accumulate(pauses)), list(accumulate(between)))
    told = [moment for offset in range(looks[-1].end) if (moment := arrived(looks, offset)) is not None]
    assert len(told) == looks[-1].end
    assert told == sorted(told)


def test_a_week_is_remembered_within_a_third() -> None:
    looks: list[Look] = []
    for at in range(0, 7 * 86_400, 15):
        look(looks, Look(at, at // 15))
    assert len(looks) == MOST_LOOKS
    assert looks[0].at == 0
    now = looks[-1].at
    assert all(later.at - earlier.at <= max(15, (now - earlier.at) / 3) for earlier, later in pairwise(looks))


def test_silence_takes_no_room_and_ends_when_it_ends() -> None:
    looks = looked(list(range(0, 1_000, 10)), [5, 905])
    assert looks == [Look(0, 0), Look(10, 1), Look(900, 1), Look(910, 2), Look(990, 2)]
    assert arrived(looks, 1) == 910


def test_a_topic_that_was_made_anew() -> None:
    looks = [Look(0, 500), Look(10, 600)]
    look(looks, Look(20, 3))
    assert looks == [Look(20, 3)]
