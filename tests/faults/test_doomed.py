"""The crash points follow the product when it is renamed."""

import pytest

from tests.faults.doomed import POINTS, Point, found


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_what_a_crash_point_wraps_is_there(point: Point) -> None:
    owner, name = found(point.place)
    assert callable(getattr(owner, name))


def test_each_crash_point_has_its_name() -> None:
    assert len({point.name for point in POINTS}) == len(POINTS)
