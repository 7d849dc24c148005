"""Rows of `pack_rows.sql` into the lines of a pack: text, reason, scores, lineage."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.packs.render import Line, event_markdown, memory_markdown, shortened
from streams.positions import Position
from streams.topics import Topics

IMPORTANT = 0.7


class Drawing:
    """Draws rows for one pack; `budget` bounds the length of a line."""

    def __init__(self, topics: Topics, budget: int) -> None:
        self.topics, self.budget = topics, budget

    def event(self, row: Any, scores: dict[str, float]) -> Line:
        return self._event(row, _match(scores), scores)

    def pending(self, row: Any, total: float) -> Line:
        return self._event(row, "session_recency", {"total": total})

    def memory(self, row: Any, parts: dict[str, NDArray[np.float64]], reason: str | None = None) -> Line:
        markdown, tokens = shortened(memory_markdown(row.text), self.budget)
        scores = {name: float(part[row.seq]) for name, part in parts.items()}
        chosen = reason or ("high_importance" if row.importance >= IMPORTANT else "hybrid")
        return Line(
            "memory", row.id, row.at, row.seq, row.text, markdown, tokens, chosen, scores, self._memory_lineage(row)
        )

    def _event(self, row: Any, reason: str, scores: dict[str, float]) -> Line:
        markdown, tokens = shortened(event_markdown(row.author, row.event_type, row.text), self.budget)
        position = Position(self.topics.events.name, row.partition, row.offset)
        return Line(
            "event", row.id, row.at, row.seq, row.text, markdown, tokens, reason, scores, {"positions": [str(position)]}
        )

    def _memory_lineage(self, row: Any) -> dict[str, Any]:
        # Not where its record stands in the topic of memories: that depends on who was quicker, and packs do not.
        trigger, events = row.trigger, self.topics.events.name
        return {
            "positions": [
                str(Position(events, trigger["partition"], trigger["first_offset"])),
                str(Position(events, trigger["partition"], trigger["last_offset"])),
            ],
            "events": row.events,
            "revision": row.revision,
            "trigger": trigger["id"],
            "model": row.model,
            "prompt": row.prompt_name,
            "prompt_hash": row.prompt_hash,
        }


def _match(scores: dict[str, float]) -> str:
    """By what an event was found: its words, its meaning, or both."""
    words = scores["words"] + scores["nearby words"] + scores["thread words"]
    meaning = scores["similarity"] + scores["nearby similarity"]
    if words > 0 and meaning > 0:
        return "hybrid"
    return "word_match" if words > meaning else "semantic_match"
