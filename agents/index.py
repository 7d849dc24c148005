"""index: the words of every visible item, for exact BM25 per anima. Arithmetic only: no model holds it up."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from agents.words import terms
from sinks import progress
from sinks.copy import copy_rows
from sinks.database import Pool, pool, sql
from sinks.items import Item, visible
from stack.settings import Settings
from streams.consumer import Batches, Consumer, Offsets, run_loop
from streams.kafka import topics_of

STAGE = "index"
CHUNK = 1024  # documents per chunk
BUCKETS = 128  # buckets of terms per chunk: about a kilobyte each for short texts
LATEST_S = 2**31 - 1  # in 2038; recency makes no difference between moments in the future
ENTRY = np.dtype([("term", "<u4"), ("seq", "<u2"), ("frequency", "<u2")])
COLUMNS = ("lengths", "sessions", "authors", "occurred")  # of a chunk, in this order
Key = tuple[UUID, int, int]  # anima, layer, generation
DOCUMENT_COLUMNS = ("anima_id", "layer", "generation", "seq", "session", "author", "occurred", "terms")
CHUNK_COLUMNS = ("anima_id", "layer", "generation", "chunk", "columns")
POSTING_COLUMNS = ("anima_id", "layer", "generation", "bucket", "chunk", "entries")


def hashed(name: str | None) -> int:
    """A name as a signed 32-bit number; 0 for none. Letters' case does not count."""
    return zlib.crc32(name.casefold().encode()) - 2**31 or 1 if name else 0


def document(item: Item) -> tuple[Any, ...]:
    """The row of one item. The author's name counts as a word of it."""
    text = f"{item.author}: {item.text}" if item.author else item.text
    return (
        item.anima_id, item.layer, item.generation, item.seq, hashed(item.session_id), hashed(item.author),
        min(int(item.occurred_at.timestamp()), LATEST_S), np.array(terms(text), "<u4").tobytes(),
    )  # fmt: skip


def postings(documents: Iterable[bytes]) -> dict[int, bytes]:
    """The entries per bucket of one chunk's documents (terms as little-endian uint32), sorted by term, then seq."""
    buckets: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for seq, words in enumerate(documents):
        for term, frequency in Counter(np.frombuffer(words, "<u4").tolist()).items():
            buckets[term % BUCKETS].append((term, seq, min(frequency, 65_535)))
    return {bucket: np.array(sorted(entries), ENTRY).tobytes() for bucket, entries in buckets.items()}


class Index:
    def __init__(self, settings: Settings, pool: Pool) -> None:
        self.settings, self.pool = settings, pool

    async def prepare(self, batches: Batches) -> list[Item]:
        return await visible(self.settings, self.pool, batches)

    async def write(self, items: list[Item], expected: Offsets, reached: Offsets) -> None:
        async with self.pool.connection() as connection, connection.transaction():
            await progress.advance(connection, STAGE, expected, reached)
            await write(connection, items)


async def write(connection: psycopg.AsyncConnection[Any], items: list[Item]) -> None:
    """Documents, authors, and the chunks that these documents complete. An item indexed before is left alone."""
    if not items:
        return
    following = await _next_seq(connection, items)
    fresh = [item for item in items if item.seq >= following[item.anima_id, item.layer, item.generation]]
    if not fresh:
        return
    await copy_rows(connection, "documents", DOCUMENT_COLUMNS, map(document, fresh))
    await _write_authors(connection, fresh)
    for key, chunk in sorted(_completed(fresh, following)):
        await _write_chunk(connection, key, chunk)


async def _next_seq(connection: psycopg.AsyncConnection[Any], items: list[Item]) -> dict[Key, int]:
    following: defaultdict[Key, int] = defaultdict(int)
    layers = {(item.anima_id, item.layer, item.generation) for item in items}
    cursor = await connection.execute(sql("documents_next_seq"), [list(column) for column in zip(*layers, strict=True)])
    for row in await cursor.fetchall():
        following[row["anima_id"], row["layer"], row["generation"]] = row["next_seq"]
    return following


async def _write_authors(connection: psycopg.AsyncConnection[Any], items: list[Item]) -> None:
    # The first spelling stays, whatever batches the items come in.
    names = {(item.anima_id, hashed(item.author)): item.author for item in reversed(items) if item.author}
    if names:
        animas, hashes = zip(*names, strict=True)
        await connection.execute(sql("authors_insert"), [list(animas), list(hashes), list(names.values())])


def _completed(fresh: list[Item], following: dict[Key, int]) -> Iterable[tuple[Key, int]]:
    """The chunks whose last document is among the fresh ones."""
    for item in fresh:
        if (item.seq + 1) % CHUNK == 0:
            yield (item.anima_id, item.layer, item.generation), item.seq // CHUNK


async def _write_chunk(connection: psycopg.AsyncConnection[Any], key: Key, chunk: int) -> None:
    span = [*key, chunk * CHUNK, (chunk + 1) * CHUNK - 1]
    rows = await (await connection.execute(sql("documents_span"), span)).fetchall()
    lengths = [len(row["terms"]) // 4 for row in rows]
    columns = np.array([lengths, *([row[name] for row in rows] for name in ("session", "author", "occurred"))], "<i4")
    await copy_rows(connection, "chunks", CHUNK_COLUMNS, [(*key, chunk, columns.tobytes())])
    entries = postings(row["terms"] for row in rows)
    rows_of_buckets = [(*key, bucket, chunk, packed) for bucket, packed in sorted(entries.items())]
    await copy_rows(connection, "postings", POSTING_COLUMNS, rows_of_buckets)


async def main(settings: Settings) -> None:
    topics = topics_of(settings)
    async with pool(settings) as rows:
        index = Index(settings, rows)
        names = [topics.events.name, topics.memories.name]
        load = partial(progress.take_over, rows, STAGE)
        await Consumer(settings, STAGE, names, load, index.prepare, index.write, records=2_000).run()


def run(settings: Settings) -> None:
    run_loop(main(settings))
