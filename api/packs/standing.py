"""How the memories of an anima stand at a moment: what each is worth, whether it holds. Arrays in the order of seq."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.packs import scores
from api.packs.ranking import Ranking
from api.packs.scores import ScoreWeights

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Standing:
    """Every memory revision known at the moment; `current` tells those that hold. Times in seconds since 1970."""

    importance: Floats
    confidence: Floats
    ended_at: Floats
    accessed_at: Floats
    accesses: NDArray[np.int64]
    current: NDArray[np.bool_]
    last_seq: int  # the last event that any memory holds; -1 for none

    def __len__(self) -> int:
        return len(self.current)

    def parts(self, now: datetime, weights: ScoreWeights, relevance: Ranking | None) -> dict[str, Floats]:
        """The long-term score of each and its parts. With a question, similarity is its hybrid rank, scaled to 0-1."""
        at = now.timestamp()
        named = scores.long_term(
            self.importance,
            self.confidence,
            scores.recency(at - self.ended_at),
            scores.decay(at - self.accessed_at, self.accesses),
            None if relevance is None else self.filled(scaled(relevance.total), 0.5),
            weights,
        )
        return named | {"total": np.clip(sum(named.values(), np.zeros(len(self))), 0, 1)}

    def filled(self, known: NDArray[Any], otherwise: float) -> Floats:
        """What the index knows of the first memories; `otherwise` for those that it has not reached yet."""
        return np.append(known, np.full(len(self) - len(known), otherwise)).astype(np.float64, copy=False)


def standing(row: dict[str, Any]) -> Standing:
    """From the row of `anima_view.sql`. Pure."""
    ended_at = _column(row["ended_at"], ">f8")
    accessed_at, accesses = ended_at.copy(), np.zeros(len(ended_at), np.int64)
    for seq, count, at in row["accesses"] or ():
        accesses[int(seq)], accessed_at[int(seq)] = count, at
    return Standing(
        _column(row["importance"], ">f4"),
        _column(row["confidence"], ">f4"),
        ended_at,
        accessed_at,
        accesses,
        np.frombuffer(row["current"] or b"", ">i4").astype(np.bool_),
        -1 if row["last_seq"] is None else row["last_seq"],
    )


def scaled(totals: NDArray[np.float32]) -> Floats:
    """Lowest to highest as 0 to 1; all 0.5 if they do not differ."""
    if not len(totals) or totals.max() == totals.min():
        return np.full(len(totals), 0.5)
    return np.asarray((totals - totals.min()) / (totals.max() - totals.min()), np.float64)


def _column(packed: bytes | None, kind: str) -> Floats:
    return np.frombuffer(packed or b"", kind).astype(np.float64)
