"""From rows to the candidates of a pack: everything of the anima is ranked, only what can be in the pack is fetched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from pgvector import HalfVector
from psycopg.rows import class_row, namedtuple_row

from agents.embeddings.model import EmbeddingModel
from agents.words import terms
from api.errors import Unavailable
from api.packs import lines
from api.packs.compile import View
from api.packs.query import embedding_text, named_authors, named_times
from api.packs.ranking import Named, Ranking, Signals, rank
from api.packs.request import PackRequest, Preset
from api.packs.standing import Standing, standing
from api.packs.vector_cache import Run, VectorCache
from sinks import retrieval
from sinks.database import sql
from sinks.items import Item, Layer
from streams.topics import Topics

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
UNINDEXED = 2_000  # events read word by word because the index has not reached them yet; more are found when it has
# Fewer tokens than a line has for each of its indexed words, and for its frame: bounds what a budget can hold.
TOKENS_PER_TERM, TOKENS_PER_LINE = 1.3, 4
ENOUGH = 1.25  # candidates for so many times the budget: what is too long for the rest is passed over


@dataclass(frozen=True)
class Asked:
    request: PackRequest
    preset: Preset
    now: datetime
    generation: int
    topics: Topics
    model_number: int | None

    @property
    def known_at(self) -> datetime:
        return self.request.as_of or FOREVER


@dataclass(frozen=True, eq=False)
class Question:
    """What was asked, its vector, and its words as distinct terms in ascending order."""

    asked: Asked
    vector: HalfVector | None
    words: list[int]


@dataclass(frozen=True, eq=False)
class Found:
    """What the first round trips brought: both layers complete, and how the memories stand."""

    asked: Asked
    overview: dict[str, Any]
    events: Ranking
    lengths: np.ndarray[Any, Any]  # of the events, in indexed words
    memories: Ranking
    similarity: np.ndarray[Any, Any]  # cosine of each memory with the question; NaN where there is no vector yet
    standing: Standing
    last_event: int  # seq of the newest event; -1 for none


async def gather(
    connection: psycopg.AsyncConnection[Any], model: EmbeddingModel, cache: VectorCache, asked: Asked
) -> View:
    """Three short round trips: who speaks (the question is embedded without names) and how the memories stand, what
    ranking needs, the rows.

    One moment without a transaction, whose beginning and end would be two more round trips: all that changes is read
    first, at once; what is read later only grows, and is cut to what the first statement counted. Not in pipeline mode
    either: psycopg runs that in Python, which costs more than the round trips over a socket.
    """
    return await _rows(connection, await _find(connection, model, cache, asked))


async def _find(
    connection: psycopg.AsyncConnection[Any], model: EmbeddingModel, cache: VectorCache, asked: Asked
) -> Found:
    overview = await _overview(connection, asked)
    question = asked.request.query or ""
    words = sorted(set(terms(question)))
    vector = await _vector(model, question, overview["names"] or []) if question and asked.model_number else None
    stand = standing(overview)
    sizes: dict[int, int] = {Layer.event: overview["known_events"], Layer.memory: len(stand)}
    events, memories = await _layers(connection, cache, Question(asked, vector, words), sizes, model.dimensions)
    events = await _with_unindexed(connection, asked, overview["events"], events, words)
    events, memories = retrieval.prefix(events, overview["known_events"]), retrieval.prefix(memories, len(stand))
    named = _named(question, overview, asked.now)
    return Found(
        asked, overview, _rank(events, named), events.lengths, _rank(memories, named), memories.similarity, stand,
        len(events) - 1,
    )  # fmt: skip


async def _layers(
    connection: psycopg.AsyncConnection[Any],
    cache: VectorCache,
    question: Question,
    sizes: Mapping[int, int],
    dimensions: int,
) -> list[retrieval.Layer]:
    """Who compares the vectors of a layer depends on its size alone: the same question finds the same numbers again."""
    asked, vector = question.asked, question.vector
    anima, number = asked.request.anima_id, asked.model_number
    generations: dict[int, int] = {Layer.event: 0, Layer.memory: asked.generation}
    keys = {layer: (anima, layer, generation, number) for layer, generation in generations.items()}
    held = {
        layer: cache.run(keys[layer]) for layer in keys if vector is not None and cache.admits(sizes[layer], dimensions)
    }
    spans = [(held[layer].end, sizes[layer]) if layer in held else None for layer in generations]
    values = retrieval.parameters(anima, generations, number, vector, question.words, spans)
    rows = await retrieval.fetch(connection, retrieval.statement(dimensions), values)
    layers = [retrieval.unpack(row, question.words) for row in rows]
    if vector is not None:
        numbers = vector.to_numpy().astype(np.float32)
        for row, found, layer in zip(rows, layers, generations, strict=True):
            if (run := held.get(layer)) is not None:
                named = {"anima": anima, "layer": layer, "generation": generations[layer], "model": number}
                await _complete(connection, run, named | {"until": sizes[layer]}, retrieval.vectors(row, dimensions))
                cache.keep(keys[layer], run)
                found.compare(run.first, run.products(numbers))
    return layers


async def _complete(
    connection: psycopg.AsyncConnection[Any], run: Run, named: dict[str, Any], more: tuple[int, np.ndarray[Any, Any]]
) -> None:
    """Make the run as long as the layer. Who asks meanwhile waits, and does not read the same once more."""
    async with run.lock:
        run.append(*more, until=named["until"])
        while len(more[1]) == retrieval.SLICE:
            more = await retrieval.next_vectors(connection, more[1].shape[1], named | {"since": run.end})
            run.append(*more)


async def _overview(connection: psycopg.AsyncConnection[Any], asked: Asked) -> dict[str, Any]:
    values = {"anima": asked.request.anima_id, "generation": asked.generation, "known_at": asked.known_at}
    row = await (await connection.execute(sql("anima_view"), values, binary=True)).fetchone()
    assert row is not None
    return dict(row)


async def _vector(model: EmbeddingModel, question: str, names: Sequence[str]) -> HalfVector:
    return HalfVector((await model.embed([embedding_text(question, names)]))[0])


async def _with_unindexed(
    connection: psycopg.AsyncConnection[Any], asked: Asked, count: int, layer: retrieval.Layer, words: list[int]
) -> retrieval.Layer:
    """The index follows the rows by milliseconds; until it has come, events are found by reading them."""
    if len(layer) >= count:
        return layer
    async with connection.cursor(row_factory=class_row(Item)) as cursor:
        await cursor.execute(sql("events_from"), [asked.request.anima_id, len(layer), UNINDEXED])
        return retrieval.extend(layer, await cursor.fetchall(), words)


def _named(question: str, overview: dict[str, Any], now: datetime) -> Named:
    names, numbers = overview["names"] or [], overview["authors"] or []
    authors = frozenset(numbers[at] for at in named_authors(question, names))
    return Named(authors, named_times(question, now))


def _rank(layer: retrieval.Layer, named: Named) -> Ranking:
    signals = Signals(layer.lengths, layer.sessions, layer.authors, layer.occurred_at, layer.similarity, layer.postings)
    return rank(signals, named)


async def _rows(connection: psycopg.AsyncConnection[Any], found: Found) -> View:
    pending, events = _pending(found), _best_events(found)
    session, long_term, parts = _memory_choice(found)
    event_rows, memory_rows = await _drawn_from(connection, found.asked, {*pending, *events}, {*session, *long_term})
    scores = dict(zip(events, found.events.breakdown(events), strict=True))
    draw = lines.Drawing(found.asked.topics, found.asked.preset.max_tokens)
    return View(
        [draw.pending(event_rows[seq], float(found.events.total[seq])) for seq in pending],
        [draw.memory(memory_rows[seq], parts, "session_recency") for seq in session],
        [draw.memory(memory_rows[seq], parts) for seq in long_term],
        (draw.event(event_rows[seq], scores[seq]) for seq in events),
        found.overview["last_event_at"],
    )


async def _drawn_from(
    connection: psycopg.AsyncConnection[Any], asked: Asked, events: set[int], memories: set[int]
) -> tuple[dict[int, Any], dict[int, Any]]:
    """The rows of these events and memories, by seq. Raises Unavailable if some went away meanwhile."""
    values = {"anima": asked.request.anima_id, "generation": asked.generation}
    async with connection.cursor(binary=True, row_factory=namedtuple_row) as cursor:
        await cursor.execute(sql("pack_rows"), values | {"events": sorted(events), "memories": sorted(memories)})
        rows: list[Any] = await cursor.fetchall()
    if len(rows) < len(events) + len(memories):
        raise Unavailable("the rows of this anima went away while they were read")
    of_events = {row.seq: row for row in rows if row.kind == "event"}
    return of_events, {row.seq: row for row in rows if row.kind == "memory"}


def _pending(found: Found) -> list[int]:
    """Events that no memory holds yet, newest first."""
    oldest = max(found.standing.last_seq, found.last_event - found.asked.preset.pending)
    return list(range(found.last_event, oldest, -1))


def _best_events(found: Found) -> list[int]:
    """By rank with a question; the newest without one."""
    budget = found.asked.preset.max_tokens
    most = min(found.last_event + 1, int(budget * ENOUGH) // TOKENS_PER_LINE)
    if found.asked.request.query is None:
        best = np.arange(found.last_event, found.last_event - most, -1)
    else:
        best = found.events.best(most)
    filled = np.cumsum(found.lengths[best] * TOKENS_PER_TERM + TOKENS_PER_LINE)
    return [int(seq) for seq in best[: int(np.searchsorted(filled, budget * ENOUGH)) + 1]]


def _memory_choice(found: Found) -> tuple[list[int], list[int], dict[str, np.ndarray[Any, Any]]]:
    """Seqs of the current session's memories, newest first; of long-term ones, best first; and the scores' parts."""
    asked, memories = found.asked, found.standing
    relevance = found.memories if asked.request.query is not None else None
    parts = memories.parts(asked.now, asked.preset.weights, relevance)
    in_session = memories.current & (memories.ended_at >= asked.now.timestamp() - asked.preset.session_hours * 3600)
    by_recency = sorted(np.flatnonzero(in_session), key=lambda seq: (-memories.ended_at[seq], seq))
    eligible = memories.current & ~in_session
    if relevance is not None and asked.request.min_similarity > 0:
        eligible[: len(found.similarity)] &= ~(found.similarity < asked.request.min_similarity)
    order = np.argsort(-np.where(eligible, parts["total"], -np.inf), kind="stable")
    long_term = [int(seq) for seq in order[: asked.preset.long_term] if eligible[seq]]
    return [int(seq) for seq in by_recency[: asked.preset.session]], long_term, parts
