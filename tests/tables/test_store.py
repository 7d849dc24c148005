"""What recovery makes of a changelog on which a worker that has lost its partitions has written too."""

import tracemalloc
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.settings import Settings
from streams.app import faust_app
from streams.batching import Row
from tables.accumulation import Accumulation, Window
from tables.store import AccumulationTable, Mark, clock_at, merged

WREN, CROW = UUID(int=1), UUID(int=2)
HOME = 3
LONG_AGO, FOREVER = 0.0, float("inf")  # of monotonic time


@dataclass
class Record:
    """What is used of aiokafka's ConsumerRecord."""

    partition: int
    offset: int
    key: bytes
    value: bytes


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("tables"))


def table(settings: Settings) -> AccumulationTable:
    return AccumulationTable(faust_app(settings, "score"), settings.partitions)


def written(settings: Settings, absorbed: dict[UUID, int], *marks: Mark) -> list[Row]:
    return table(settings).write(HOME, {anima: Accumulation(at) for anima, at in absorbed.items()}, list(marks))


def records(rows: list[Row], first: int = 0) -> list[Record]:
    return [Record(HOME, first + number, row.key, row.value) for number, row in enumerate(rows)]


def recovered(settings: Settings, rows: list[Row]) -> AccumulationTable:
    made = table(settings)
    read(made, records(rows))
    return made


def read(into: AccumulationTable, found: list[Record], each: int = 3) -> None:
    """As recovery does: every poll is an event, and some of them are applied together."""
    polls = [SimpleNamespace(value=found[first : first + each]) for first in range(0, len(found), each)]
    for first in range(0, len(polls), 2):
        into.table.apply_changelog_batch(polls[first : first + 2])


def test_the_state_of_who_lost_the_partition_does_not_come_back(settings: Settings) -> None:
    owner = written(settings, {WREN: 9, CROW: 8}, Mark(0, 0), Mark(10, 70))
    zombie = written(settings, {WREN: 4}, Mark(0, 0), Mark(5, 50))
    again = recovered(settings, owner + zombie)
    assert (again.load(WREN).absorbed, again.load(CROW).absorbed) == (9, 8)
    assert again.marks(HOME) == [Mark(0, 0), Mark(5, 50), Mark(10, 70)]


def test_a_partition_is_doubted_when_an_older_state_stands_behind(settings: Settings) -> None:
    owner, zombie = written(settings, {WREN: 9, CROW: 8}, Mark(10, 70)), written(settings, {WREN: 4}, Mark(5, 50))
    assert recovered(settings, zombie + owner).doubted(FOREVER) == []
    again = recovered(settings, owner + zombie)
    assert again.doubted(LONG_AGO) == []
    assert again.doubted(FOREVER) == [HOME]
    assert again.doubted(FOREVER) == []


def test_a_worker_s_own_older_states_are_no_doubt(settings: Settings) -> None:
    """A partition that it has kept is read again from where it was last recovered."""
    mine = table(settings)
    rows = [row for at in range(1, 9) for row in mine.write(HOME, {WREN: Accumulation(at)}, [Mark(at, at)])]
    read(mine, records(rows))
    assert mine.doubted(FOREVER) == []
    assert mine.load(WREN).absorbed == 8


def test_everything_written_again_lets_compaction_keep_the_last(settings: Settings) -> None:
    owner, zombie = written(settings, {WREN: 9, CROW: 8}, Mark(10, 70)), written(settings, {WREN: 4}, Mark(5, 50))
    again = recovered(settings, owner + zombie)
    again.write(HOME + 1, {UUID(int=5): Accumulation(3)}, [Mark(4, 4)])
    compacted = {row.key: row for row in owner + zombie + again.everything(HOME)}
    assert set(compacted) == {WREN.bytes, CROW.bytes, b"clock/3"}
    last = recovered(settings, list(compacted.values()))
    assert (last.load(WREN).absorbed, last.load(CROW).absorbed, last.marks(HOME)) == (9, 8, [Mark(10, 70)])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 3), st.booleans())
def test_whoever_writes_in_between_is_noticed(
    settings: Settings, counts: list[int], intruded: int, read_before: bool
) -> None:
    mine = table(settings)
    end = 7
    if read_before:
        read(mine, records(written(settings, {WREN: 1}, Mark(2, 2)), end - 2))
    else:
        mine.delivered(HOME, [range(end - 1, end)])
    spans = []
    for number, count in enumerate(counts):
        end += number == intruded
        spans.append(range(end, end + count))
        end += count
    for span in spans:
        mine.delivered(HOME, [span])
    assert mine.doubted(FOREVER) == ([HOME] if intruded < len(counts) else [])


@given(st.data())
def test_however_late_its_rows_arrive(settings: Settings, data: st.DataObject) -> None:
    """Of two workers one after the other, the rows of the first mixed into those of the second."""
    first = [written(settings, {WREN: at}, Mark(0, 0), Mark(at + 1, at)) for at in (2, 4)]
    second = [written(settings, {WREN: at}, Mark(0, 0), Mark(at + 1, at)) for at in (4, 6, 9)]
    order: list[Any] = data.draw(st.permutations([first] * 2 + [second] * 3))
    turns = {id(first): iter(first), id(second): iter(second)}
    again = recovered(settings, [row for whose in order for row in next(turns[id(whose)])])
    assert again.load(WREN).absorbed == 9
    assert set(again.marks(HOME)) == {Mark(0, 0), *(Mark(at + 1, at) for at in (2, 4, 6, 9))}


def test_neither_list_of_marks_holds_what_the_other_does(settings: Settings) -> None:
    """The successor has read on in other batches, and committed one; then the first worker wakes, further on."""
    owner = written(settings, {}, Mark(5, 50), Mark(8, 90))
    zombie = written(settings, {}, Mark(5, 50), Mark(12, 90))
    again = recovered(settings, owner + zombie)
    assert again.marks(HOME) == [Mark(5, 50), Mark(8, 90), Mark(12, 90)]
    assert clock_at(8, again.marks(HOME)) == 90
    assert [row.key for row in again.write(HOME, {CROW: Accumulation(9)}, [Mark(8, 90)])].count(CROW.bytes) == 1


def test_a_window_that_time_has_closed_does_not_open_again(settings: Settings) -> None:
    opened, closed = (Accumulation(4, window) for window in (Window(1, 4, 2, 9, 0), None))
    one, other = (table(settings).write(HOME, {WREN: state}, [Mark(5, 50)]) for state in (opened, closed))
    for rows in (one + other, other + one):
        assert recovered(settings, rows).load(WREN) == closed


pairs = st.builds(Mark, st.integers(0, 9), st.integers(0, 2))
marks = st.lists(pairs, min_size=1, max_size=5, unique_by=lambda mark: mark.offset).map(sorted)


@given(marks, marks, marks)
def test_marks_merge_in_any_order(one: list[Mark], other: list[Mark], third: list[Mark]) -> None:
    assert merged(one, other) == merged(other, one)
    assert merged(merged(one, other), third) == merged(one, merged(other, third))
    assert merged(one, one) == one


def test_a_state_takes_the_room_of_its_bytes(settings: Settings) -> None:
    """A table has one for each anima that ever spoke."""
    filled, count = table(settings), 1_000
    states = {UUID(int=number): Accumulation(number, Window(0, number, 1, 40, 0)) for number in range(count)}
    tracemalloc.start()
    try:
        rows = filled.write(HOME, states, [])
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / count < 500 + sum(len(row.key) + len(row.value) for row in rows) / count
