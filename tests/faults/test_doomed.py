"""The named points follow the product when it is renamed."""

import pytest

from tests.faults.doomed import FREEZES, FROZEN, POINTS, Point, found


@pytest.mark.parametrize("point", {*POINTS, *FREEZES}, ids=lambda point: point.name)
def test_what_a_point_wraps_is_there(point: Point) -> None:
    owner, name = found(point.place)
    assert callable(getattr(owner, name))


def test_each_crash_point_has_its_name() -> None:
    assert len({point.name for point in POINTS}) == len(POINTS)


def test_each_point_to_freeze_at_is_one() -> None:
    assert {point.name for point in FREEZES} > FROZEN
