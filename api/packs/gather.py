"""From rows to the candidates of a pack: everything of the anima is ranked, only what can be in the pack is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from psycopg.rows import class_row, namedtuple_row

from agents.embeddings.model import EmbeddingModel
from agents.words import terms
from api.errors import Unavailable
from api.packs import lines
from api.packs.compile import View
from api.packs.layer_cache import Floats, HeldLayer, LayerCache, Run
from api.packs.query import embedding_text, named_authors, named_times
from api.packs.ranking import Named, Ranking, Signals, rank
from api.packs.request import PackRequest, Preset
from api.packs.standing import Standing, standing
from sinks import retrieval
from sinks.database import sql
from sinks.documents import Documents, WentBack
from sinks.items import Item, Layer
from sinks.retrieval import LayerKey
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

    @property
    def layers(self) -> list[LayerKey]:
        """Events and memories."""
        generations = {Layer.event: 0, Layer.memory: self.generation}
        return [LayerKey(self.request.anima_id, layer, of, self.model_number) for layer, of in generations.items()]


@dataclass(frozen=True, eq=False)
class Found:
    """What the first round trip brought: both layers complete, and how the memories stand."""

    asked: Asked
    overview: dict[str, Any]
    events: Ranking
    lengths: np.ndarray[Any, Any]  # of the events, in indexed words
    memories: Ranking
    similarity: np.ndarray[Any, Any]  # cosine of each memory with the question; NaN where there is no vector yet
    standing: Standing
    last_event: int  # seq of the newest event; -1 for none


async def gather(
    connection: psycopg.AsyncConnection[Any], model: EmbeddingModel, cache: LayerCache, asked: Asked
) -> View:
    """Two short round trips: what ranking needs, and the rows. Between them the question is embedded, without the names
    that the first has brought.

    One moment without a transaction, whose beginning and end would be two more round trips: all that changes is read
    at once, and what is read later does not change. Not in pipeline mode either: psycopg runs that in Python, which
    costs more than the round trips over a socket.
    """
    return await _rows(connection, await _find(connection, model, cache, asked))


async def _find(
    connection: psycopg.AsyncConnection[Any], model: EmbeddingModel, cache: LayerCache, asked: Asked
) -> Found:
    question = asked.request.query or ""
    words = sorted(set(terms(question)))
    keys = asked.layers
    held = [cache.layer(key) for key in keys]
    before, runs = [one.documents for one in held], [one.vectors for one in held]
    values = retrieval.parameters(
        keys, words, [len(one) for one in before], [one.end for one in runs], cache.most_items(model.dimensions)
    ) | {"generation": asked.generation, "known_at": asked.known_at}
    values["model"] = asked.model_number if question else None  # without one no vectors are read
    rows = await retrieval.fetch(connection, retrieval.statement("retrieve_with_view", model.dimensions), values)
    overview, stand = rows[0], standing(rows[0])
    if overview["events"] is None:
        raise Unavailable("this anima went away: the database is another, or an older one")
    try:
        documents = _read_on(held, before, rows)
    except WentBack as error:
        cache.forget(keys)
        raise Unavailable("this anima went back: the database is another, or an older one") from error
    events, memories = layers = [retrieval.layer(own, row, words) for own, row in zip(documents, rows, strict=True)]
    if question and asked.model_number is not None:
        vector = await _vector(model, question, overview["names"] or [])
        for key, run, row, layer in zip(keys, runs, rows, layers, strict=True):
            layer.compare(*await _similarities(connection, key, run, len(layer), row, vector))
    for key, own, row in zip(keys, held, rows, strict=True):
        if not row["held"]:  # it has become too large
            own.vectors = Run()
        cache.keep(key, own)
    events = await _with_unindexed(connection, asked, overview["events"], events, words)
    events, memories = retrieval.prefix(events, overview["known_events"]), retrieval.prefix(memories, len(stand))
    named = _named(question, overview, asked.now)
    return Found(
        asked, overview, _rank(events, named), events.lengths, _rank(memories, named), memories.similarity, stand,
        len(events) - 1,
    )  # fmt: skip


def _read_on(held: Sequence[HeldLayer], before: Sequence[Documents], rows: Sequence[dict[str, Any]]) -> list[Documents]:
    """Of each layer, events first, what was held before and what was read. Raises WentBack."""
    found = [own.read_on(known, row) for own, known, row in zip(held, before, rows, strict=True)]
    if len(found[0]) > rows[0]["events"]:
        raise WentBack(f"{rows[0]['events']} events, after words of {len(found[0])}")
    return found


async def _similarities(
    connection: psycopg.AsyncConnection[Any], key: LayerKey, run: Run, items: int, row: dict[str, Any], vector: Floats
) -> tuple[int, Floats]:
    """Of all vectors of a layer of so many items, and the seq of the first.

    Who compares them depends on the layer's size alone: the same question finds the same numbers again.
    """
    if not row["held"]:
        return await retrieval.compare(connection, key, vector)
    async with run.lock:  # who asks meanwhile waits, and does not read the same once more
        first, more = retrieval.vectors(row, len(vector))
        run.append(first, more, until=items)
        while len(more) == retrieval.SLICE:
            first, more = await retrieval.next_vectors(connection, key, len(vector), run.end)
            run.append(first, more)
    return run.first, run.products(vector)


async def _vector(model: EmbeddingModel, question: str, names: Sequence[str]) -> Floats:
    """As exact as the vectors that it is compared with."""
    (made,) = await model.embed([embedding_text(question, names)])
    rounded: Floats = made.astype(np.float16).astype(np.float32)
    return rounded


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
