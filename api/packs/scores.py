"""How much a memory is worth now. Pure arithmetic on arrays or numbers, evaluated when read, never stored.

Formulas: shared seed specification, section 1. Ages are in seconds; every score lies between 0 and 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400.0
LONG_TERM_HALF_LIFE_S = 7 * DAY_S
SESSION_HALF_LIFE_S = DAY_S
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreWeights:
    """Shares of the long-term score; `freshness` weighs 1 - decay. Without a query the others are scaled up."""

    importance: float = 0.25
    confidence: float = 0.15
    recency: float = 0.20
    freshness: float = 0.15
    similarity: float = 0.25


def recency(age_s: Floats, half_life_s: float = LONG_TERM_HALF_LIFE_S) -> Floats:
    """2^(-age / half life); what lies in the future counts as now."""
    return np.asarray(np.exp2(-np.maximum(age_s, 0.0) / half_life_s))


def decay(age_s: Floats, accesses: NDArray[np.int64]) -> Floats:
    """1 - 2^(-age / effective half life). Each access makes the half life, at first 30 days, half as long
    again, up to a year.

    `age_s` counts from the last access, or from creation.
    """
    half_life_s = np.minimum(30 * 1.5 ** np.minimum(accesses, 10), 365) * DAY_S
    return np.asarray(1 - np.exp2(-np.maximum(age_s, 0.0) / half_life_s))


def long_term(
    importance: Floats,
    confidence: Floats,
    recent: Floats,
    decayed: Floats,
    similarity: Floats | None,
    weights: ScoreWeights,
) -> dict[str, Floats]:
    """The weighted parts of the long-term score by name; their sum is the score."""
    parts = {
        "importance": weights.importance * importance,
        "confidence": weights.confidence * confidence,
        "recency": weights.recency * recent,
        "freshness": weights.freshness * (1 - decayed),
    }
    if similarity is not None:
        return parts | {"similarity": weights.similarity * np.clip(similarity, 0, 1)}
    scale = 1 / (weights.importance + weights.confidence + weights.recency + weights.freshness)
    return {name: part * scale for name, part in parts.items()}
