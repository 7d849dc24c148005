from collections import Counter

from tests.faults.kinds import CLASSES, Kind
from tests.faults.schedule import schedule


async def nothing(_: object) -> None: ...


KINDS = [Kind(of, f"{of} {number}", nothing) for of in CLASSES for number in range(len(of))]


def test_a_short_run_meets_every_class() -> None:
    for seed in range(20):
        assert {kind.of for kind in schedule(KINDS, len(CLASSES), seed)} == set(CLASSES)


def test_a_kind_comes_again_only_when_its_class_is_through() -> None:
    drawn = schedule(KINDS, 200, 1)
    assert len(drawn) == 200
    counts = Counter(drawn)
    for of in CLASSES:
        mine = [counts[kind] for kind in KINDS if kind.of == of]
        assert max(mine) - min(mine) <= 1


def test_the_seed_decides() -> None:
    assert schedule(KINDS, 50, 1) == schedule(KINDS, 50, 1)
    assert schedule(KINDS, 50, 1) != schedule(KINDS, 50, 2)
