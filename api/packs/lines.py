"""Rows into the lines of a pack: text, reason, scores, lineage."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.packs.ranking import Ranking
from api.packs.render import Line, event_markdown, memory_markdown, shortened
from streams.positions import Position
from streams.topics import Topics

IMPORTANT = 0.7
WORDS = ("words", "nearby words", "thread words")
MEANING = ("similarity", "nearby similarity")


class Drawing:
    """Draws rows for one pack; `budget` bounds the length of a line."""

    def __init__(self, topics: Topics, budget: int) -> None:
        self.topics, self.budget = topics, budget

    def event(self, row: dict[str, Any], ranking: Ranking) -> Line:
        scores = ranking.breakdown(row["seq"]) | {"total": float(ranking.total[row["seq"]])}
        return self._event(row, _match(scores), scores)

    def pending(self, row: dict[str, Any], ranking: Ranking) -> Line:
        return self._event(row, "session_recency", {"total": float(ranking.total[row["seq"]])})

    def memory(self, row: dict[str, Any], parts: dict[str, NDArray[np.float64]], reason: str | None = None) -> Line:
        markdown, tokens = shortened(memory_markdown(row["summary"]), self.budget)
        scores = {name: float(part[row["seq"]]) for name, part in parts.items()}
        chosen = reason or ("high_importance" if row["importance"] >= IMPORTANT else "hybrid")
        return Line(
            "memory", row["id"], row["started_at"], row["seq"], row["summary"], markdown, tokens, chosen, scores,
            self._memory_lineage(row),
        )  # fmt: skip

    def _event(self, row: dict[str, Any], reason: str, scores: dict[str, float]) -> Line:
        markdown, tokens = shortened(event_markdown(row["author"], row["event_type"], row["content"]), self.budget)
        position = Position(self.topics.events.name, row["partition"], row["offset"])
        return Line(
            "event", row["id"], row["occurred_at"], row["seq"], row["content"], markdown, tokens, reason, scores,
            {"positions": [str(position)]},
        )  # fmt: skip

    def _memory_lineage(self, row: dict[str, Any]) -> dict[str, Any]:
        trigger, events = row["trigger"], self.topics.events.name
        return {
            "position": str(Position(self.topics.memories.name, row["partition"], row["offset"])),
            "positions": [
                str(Position(events, trigger["partition"], trigger["first_offset"])),
                str(Position(events, trigger["partition"], trigger["last_offset"])),
            ],
            "events": row["last_seq"] - row["first_seq"] + 1,
            "revision": row["revision"],
            "trigger": trigger["id"],
            "model": row["model"],
            "prompt": row["prompt_name"],
            "prompt_hash": row["prompt_hash"],
        }


def _match(scores: dict[str, float]) -> str:
    """By what an event was found: its words, its meaning, or both."""
    words, meaning = sum(scores[name] for name in WORDS), sum(scores[name] for name in MEANING)
    if words > 0 and meaning > 0:
        return "hybrid"
    return "word_match" if words > meaning else "semantic_match"
