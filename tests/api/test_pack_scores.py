"""The formulas of memory scores, against the vectors of the specification."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.packs.scores import DAY_S, Floats, ScoreWeights, decay, long_term, recency

share = st.floats(0, 1)


def days(*ages: float) -> Floats:
    return np.array(ages) * DAY_S


def test_recency_halves_every_week() -> None:
    assert recency(days(0, 7, 14)) == pytest.approx([1, 0.5, 0.25])
    assert recency(days(-3)) == pytest.approx([1])
    assert recency(days(1), DAY_S) == pytest.approx([0.5])


def test_decay_by_age_and_accesses() -> None:
    assert decay(days(30, 30), np.array([0, 2])) == pytest.approx([0.5, 0.265], abs=5e-4)
    assert decay(days(52.1, 99.7), np.array([0, 0])) == pytest.approx([0.7, 0.9], abs=5e-4)
    assert decay(days(365), np.array([1000])) == pytest.approx([0.5])  # a year at most


@given(share, share, share, share, share)
def test_without_a_query_the_other_parts_are_scaled_up(i: float, c: float, r: float, d: float, s: float) -> None:
    weights = ScoreWeights()
    importance, confidence, recent, decayed = [np.array([x]) for x in (i, c, r, d)]
    parts = long_term(importance, confidence, recent, decayed, np.array([s]), weights)
    with_query = float(sum(part[0] for part in parts.values()))
    alone = long_term(importance, confidence, recent, decayed, None, weights)
    assert 0 <= with_query <= 1 + 1e-9
    expected = (with_query - weights.similarity * s) / (1 - weights.similarity)
    assert float(sum(part[0] for part in alone.values())) == pytest.approx(expected)
