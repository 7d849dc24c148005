"""What a soak and a run under pressure are judged by."""

from typing import Any

import psutil
import pytest

from tests.faults.clients import Clients
from tests.faults.pressure import API_BOUND, BOUND, LAYER_CACHE_MB, MB, _flow, _most
from tests.faults.soak import _growth, _recovered
from tests.faults.watch import Sample, Watch, _whole


def watched(program: str, *samples: tuple[int, int, int]) -> Watch:
    """`rss`, `own` and handles, once a second; `whole` grows."""
    anything: Any = None
    watch = Watch(anything)
    watch.samples[program] = [
        Sample(float(at), rss, 10**9 * at, own, handles) for at, (rss, own, handles) in enumerate(samples)
    ]
    return watch


@pytest.mark.parametrize(
    ("program", "samples", "met"),
    [
        ("sink", ((100, 0, 40), (110, 0, 45)), [True, True]),
        ("sink", ((100, 0, 40), (111, 0, 46)), [False, False]),
        ("api", ((100, 0, 40), (110, 0, 59)), [True, True]),
        ("api", ((100, 0, 40), (110, 0, 60)), [True, False]),
        ("postgres", ((100, 1000, 100), (200, 1100, 115)), [True, True]),
        ("postgres", ((100, 1000, 100), (100, 1101, 116)), [False, False]),
    ],
)
def test_growth_has_a_bound(program: str, samples: tuple[tuple[int, int, int], ...], met: list[bool]) -> None:
    assert [figure.met for figure in _growth(watched(program, *samples), 0.0)] == met


def test_most_faults_that_were_due_have_to_come() -> None:
    [due, injected, *_] = _recovered([], 20)
    assert due.value == 20
    assert injected.met is False


def test_memory_that_nobody_has_looked_at_is_not_none() -> None:
    watch = watched("api", (100 * MB, 0, 1), (BOUND + MB, 0, 1))
    assert _most(watch, "api", "rss", 0.5, BOUND).met is False
    assert _most(watch, "api", "rss", 0.5, API_BOUND).met is True
    with pytest.raises(ValueError, match="empty"):
        _most(watch, "api", "rss", 5.0, BOUND)
    assert API_BOUND - BOUND == LAYER_CACHE_MB * MB


def test_who_was_not_held_was_not_under_pressure() -> None:
    assert [figure.met for figure in _flow("sink", 1_000, 60, 800, 30_000, 800)] == [True, True, True]
    assert [figure.met for figure in _flow("sink", 1_000, 60, 799, 29_999, 799)] == [False, False, False]
    assert [figure.met for figure in _flow("synthesize", 10, 60, 2, 1, 8)] == [None, True, True]
    assert [figure.met for figure in _flow("synthesize", 10, 60, 2, 0, 7.9)] == [None, False, False]


def test_an_answer_that_the_api_must_not_give_is_a_figure() -> None:
    settings: Any = None
    clients = Clients(settings, 1)
    clients.answers["pack", "200"] += 3
    assert clients.figures()[-1].met is True
    clients.answers["pack", "500"] += 1
    assert clients.figures()[-1].met is False


def test_a_process_has_memory_of_its_own() -> None:
    whole, own = _whole(psutil.Process())
    assert 0 < own < whole
