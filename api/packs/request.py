"""What a pack is asked for, and the presets that fill in what is left out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.packs.scores import ScoreWeights
from streams.records import Moment, Share, Text

PresetName = Literal["conversational", "default"]


@dataclass(frozen=True)
class Preset:
    """`session_hours` is the width of the current session; the counts limit items, `max_tokens` everything."""

    session_hours: float
    session: int
    long_term: int
    pending: int
    max_tokens: int
    weights: ScoreWeights


PRESETS: dict[PresetName, Preset] = {
    "conversational": Preset(
        4, 5, 3, 20, 2000,
        ScoreWeights(recency=0.35, similarity=0.30, importance=0.20, confidence=0.10, freshness=0.05),
    ),
    "default": Preset(24, 5, 10, 20, 4000, ScoreWeights()),
}  # fmt: skip


class PackRequest(BaseModel):
    anima_id: UUID
    query: Text | None = Field(
        None, max_length=4000, description="What the pack is for. Without it the newest and most important is chosen."
    )
    preset: PresetName = Field("default", description="Fills in whatever is left out.")
    max_tokens: int | None = Field(
        None, strict=True, ge=500, le=16_000, description="Budget in o200k_base tokens, headings and all."
    )
    now: Moment | None = Field(None, description="The moment that ages count from. Left out: the clock.")
    as_of: Moment | None = Field(None, description="Compile from what was known at this moment of log time.")
    after: str | None = Field(None, max_length=300, description="Wait until this position can be read.")
    settled: bool = Field(
        False, strict=True, description="With `after`: wait until memories and vectors of it are there too."
    )
    session: int | None = Field(None, strict=True, ge=0, le=20, description="Most memories of the current session.")
    long_term: int | None = Field(None, strict=True, ge=0, le=50, description="Most long-term memories.")
    pending: int | None = Field(None, strict=True, ge=0, le=50, description="Most events that no memory holds yet.")
    min_similarity: Share = Field(0.0, description="Long-term memories less similar to the query than this stay out.")

    def resolved(self) -> Preset:
        """The preset with what the request says instead."""
        preset = PRESETS[self.preset]
        return Preset(
            preset.session_hours,
            preset.session if self.session is None else self.session,
            preset.long_term if self.long_term is None else self.long_term,
            preset.pending if self.pending is None else self.pending,
            self.max_tokens or preset.max_tokens,
            preset.weights,
        )


class PackItem(BaseModel):
    kind: Literal["event", "memory"]
    id: UUID
    text: str
    reason: Literal["session_recency", "semantic_match", "word_match", "high_importance", "hybrid"]
    scores: dict[str, float] = Field(description="Named parts; `total` is what it was chosen by.")
    lineage: dict[str, object] = Field(description="Positions in the log that it comes from, and how it was made.")


class Pack(BaseModel):
    pack_id: str = Field(description="SHA-256 of content and inputs: equal packs have equal ids.")
    anima_id: UUID
    generation: int
    content: str = Field(description="Markdown, for the prompt.")
    token_count: int = Field(description="Tokens of `content` in o200k_base; never more than max_tokens.")
    max_tokens: int
    query: str | None
    preset: PresetName
    now: datetime
    as_of: datetime | None
    items: list[PackItem]
