"""What recovery makes of a changelog on which a worker that has lost its partitions has written too."""

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


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("tables"))


def table(settings: Settings) -> AccumulationTable:
    return AccumulationTable(faust_app(settings, "score"), settings.partitions)


def written(settings: Settings, absorbed: dict[UUID, int], *marks: Mark) -> list[Row]:
    return table(settings).write(HOME, {anima: Accumulation(at) for anima, at in absorbed.items()}, list(marks))


def recovered(settings: Settings, rows: list[Row]) -> AccumulationTable:
    made, message = table(settings), SimpleNamespace(partition=HOME, value=b"", offset=0)
    made.table.apply_changelog_batch([SimpleNamespace(key=row.key, value=row.value, message=message) for row in rows])
    return made


def test_the_state_of_who_lost_the_partition_does_not_come_back(settings: Settings) -> None:
    owner = written(settings, {WREN: 9, CROW: 8}, Mark(0, 0), Mark(10, 70))
    zombie = written(settings, {WREN: 4}, Mark(0, 0), Mark(5, 50))
    again = recovered(settings, owner + zombie)
    assert (again.load(WREN).absorbed, again.load(CROW).absorbed) == (9, 8)
    assert again.marks(HOME) == [Mark(0, 0), Mark(5, 50), Mark(10, 70)]


def test_what_was_outrun_is_written_again_before_compaction_can_lose_it(settings: Settings) -> None:
    owner, zombie = written(settings, {WREN: 9, CROW: 8}, Mark(10, 70)), written(settings, {WREN: 4}, Mark(5, 50))
    again = recovered(settings, owner + zombie)
    assert again.write(HOME + 1, {}, [Mark(1, 1)]) == again.table.rows[-1:]
    states = {row.key: row for row in again.write(HOME, {}, [Mark(12, 80)])}
    assert recovered(settings, list(states.values())).load(WREN).absorbed == 9
    assert CROW.bytes not in states
    assert WREN.bytes not in {row.key for row in again.write(HOME, {}, [Mark(13, 80)])}


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
