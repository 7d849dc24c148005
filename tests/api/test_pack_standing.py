"""How memories stand, also those that the index has not reached yet."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from api.packs.ranking import Ranking
from api.packs.scores import ScoreWeights
from api.packs.standing import standing

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def row(count: int) -> dict[str, Any]:
    return {
        "importance": np.full(count, 0.5, ">f4").tobytes(), "confidence": np.full(count, 0.5, ">f4").tobytes(),
        "ended_at": np.full(count, NOW.timestamp(), ">f8").tobytes(), "current": np.ones(count, ">i4").tobytes(),
        "last_seq": 10 * count - 1, "accesses": None,
    }  # fmt: skip


def test_a_memory_that_the_index_has_not_reached_counts_as_half_relevant() -> None:
    indexed = Ranking(np.array([-1, 3, 2], np.float32), {})
    parts = standing(row(5)).parts(NOW, ScoreWeights(similarity=1.0), indexed)
    assert parts["similarity"].tolist() == [0.0, 1.0, 0.75, 0.5, 0.5]
    assert len(parts["total"]) == 5


def test_without_a_question_nothing_is_relevant() -> None:
    assert "similarity" not in standing(row(2)).parts(NOW, ScoreWeights(), None)
