"""Memories of one anima by words or by meaning: every one of them is compared, none is missed."""

from typing import Any
from uuid import UUID

import numpy as np
from pgvector import HalfVector

from agents.words import terms
from api.context import Context
from api.packs.ranking import Signals, Threads, Words
from sinks import retrieval
from sinks.database import sql
from sinks.documents import NO_DOCUMENTS
from sinks.items import Layer
from sinks.retrieval import LayerKey

MOST_FOUND = 10_000  # seqs that one search may hand to Postgres


async def by_words(ctx: Context, anima: UUID, question: str, limit: int, offset: int) -> list[dict[str, Any]]:
    """Rows that have a word of the question, with their BM25 `score`, best first."""
    words = sorted(set(terms(question)))
    if not words:
        return []
    found = await _scores(ctx, anima, words)
    best = np.lexsort((np.arange(len(found)), -found))[: int((found > 0).sum())][:MOST_FOUND]
    values = {
        "anima": anima, "generation": ctx.settings.generation, "seqs": best.tolist(), "scores": found[best].tolist(),
        "limit": limit, "offset": offset,
    }  # fmt: skip
    return await ctx.rows(sql("memories_ranked"), values)


async def _scores(ctx: Context, anima: UUID, words: list[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """BM25 of every indexed memory revision, by seq."""
    dimensions, generation = ctx.resources.model.dimensions, ctx.settings.generation
    values = retrieval.parameters([LayerKey(anima, Layer.memory, generation)], words)
    rows = await ctx.rows(retrieval.statement("retrieve", dimensions), values, ctx.resources.reading)
    layer = retrieval.layer(NO_DOCUMENTS.extended(rows[0]), rows[0], words)
    if not len(layer):
        return np.zeros(0, np.float32)
    signals = Signals(layer.lengths, layer.sessions, layer.authors, layer.occurred_at, layer.similarity, layer.postings)
    return Words(signals, Threads(signals.sessions, signals.occurred_at)).of_items()


async def by_meaning(ctx: Context, anima: UUID, question: str, limit: int) -> list[dict[str, Any]]:
    """Rows that have a vector, with their cosine `score`, best first."""
    number = await ctx.model_number()
    if number is None:
        return []
    (vector,) = await ctx.resources.model.embed([question])
    statement = retrieval.statement("memories_nearest", ctx.resources.model.dimensions)
    values = {
        "anima": anima, "generation": ctx.settings.generation, "model": number, "vector": HalfVector(vector),
        "limit": limit,
    }  # fmt: skip
    return await ctx.rows(statement, values, ctx.resources.reading)
