"""A million events of synthetic animas, written straight into Postgres as the stages would have written them.

One anima of 100,000 events, 20 of 10,000, 500 of 1,000 and 2,000 of 100, a tenth as many memories; texts of 16 words,
Zipf-distributed over the whole words of the encoder's vocabulary; vectors are random directions.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector_async
from psycopg.rows import dict_row

from agents import index
from agents.embeddings.minilm import DIMENSIONS, NAME, weights_folder
from agents.words import terms
from sinks import vectors
from sinks.copy import copy_rows
from sinks.events import COLUMNS as EVENT_COLUMNS
from sinks.items import Item, Layer
from sinks.memories import COLUMNS as MEMORY_COLUMNS
from streams.kafka import partition_of
from streams.positions import event_id, window_id

SIZES = {100_000: 1, 10_000: 20, 1_000: 500, 100: 2_000}
START = datetime(2025, 1, 1, tzinfo=UTC)
SEED = 20_261_121
SLICE = 10_000  # items per transaction
PARTITIONS = 8
SPACE = UUID("6f3c7a52-57c5-4b6e-8f0e-6d1b9c2f4a10")


def anima(size: int, number: int) -> UUID:
    """A random-looking UUID (version 4), as the API would have given."""
    return UUID(int=uuid5(SPACE, f"{size}/{number}").int & ~(0xF << 76) | 4 << 76)


class Texts:
    """Sentences of 16 English words, stop words apart; word k is drawn with probability proportional to 1/k."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        known = json.loads((weights_folder() / "tokenizer.json").read_text())["model"]["vocab"]
        words = sorted(word for word in known if word.isalpha() and word.isascii() and len(word) > 2 and terms(word))
        self.vocabulary = np.random.default_rng(SEED).permutation(np.array(words))
        weights = 1 / np.arange(1, len(words) + 1)
        self.shares = np.cumsum(weights / weights.sum())

    def make(self, count: int) -> list[str]:
        drawn = np.searchsorted(self.shares, self.random.random((count, 16)))
        return [" ".join(words) for words in self.vocabulary[np.minimum(drawn, len(self.vocabulary) - 1)]]

    def vectors(self, count: int) -> np.ndarray[Any, Any]:
        made = self.random.standard_normal((count, DIMENSIONS), np.float32)
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def animas(sizes: Mapping[int, int]) -> Iterator[tuple[UUID, int]]:
    for size, count in sizes.items():
        for number in range(count):
            yield anima(size, number), size


async def seed(dsn: str, say: Callable[[str], None], sizes: Mapping[int, int]) -> None:
    """Fill an empty, migrated database with so many animas of each size."""
    texts = Texts(SEED)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        await register_vector_async(connection)
        model = await vectors.model_id(connection, NAME, DIMENSIONS)
        done = 0
        for identity, size in animas(sizes):
            await _anima(connection, texts, model, identity, size)
            done += size
            if done % 100_000 < size:
                say(f"seeded {done:,} events")
        await connection.execute("VACUUM (ANALYZE)")


async def _anima(connection: Any, texts: Texts, model: int, identity: UUID, size: int) -> None:
    key = str(identity)
    home = partition_of(key.encode(), PARTITIONS)
    columns = ("id", "key", "partition", "name", "events", "created_at", "updated_at")
    row = (identity, key, home, f"bench {size} {key[:8]}", size, START, START)
    await copy_rows(connection, "animas", columns, [row])
    for first in range(0, size, SLICE):
        count = min(SLICE, size - first)
        async with connection.transaction():
            events = [
                Item(identity, Layer.event, 0, seq, text, f"speaker {seq % 3}", f"s{seq // 20}",
                     START + timedelta(minutes=7 * seq))
                for seq, text in enumerate(texts.make(count), first)
            ]  # fmt: skip
            await copy_rows(connection, "events", EVENT_COLUMNS, (_event_row(item, home) for item in events))
            await _found(connection, texts, model, events)
            await _memories(connection, texts, model, identity, home, range(first // 10, (first + count) // 10))


async def _memories(connection: Any, texts: Texts, model: int, identity: UUID, home: int, seqs: range) -> None:
    items = [
        Item(identity, Layer.memory, 1, seq, text, None, None, START + timedelta(minutes=70 * seq + 63))
        for seq, text in zip(seqs, texts.make(len(seqs)), strict=True)
    ]
    await copy_rows(connection, "memories", MEMORY_COLUMNS, (_memory_row(item, home) for item in items))
    await _found(connection, texts, model, items)


async def _found(connection: Any, texts: Texts, model: int, items: list[Item]) -> None:
    await index.write(connection, items)
    made = texts.vectors(len(items))
    hashed = [vectors.content_hash(vectors.embedded_text(item)) for item in items]
    await vectors.store(
        connection, DIMENSIONS, model,
        [(item, content, HalfVector(row)) for item, content, row in zip(items, hashed, made, strict=True)],
    )  # fmt: skip


def _event_row(item: Item, home: int) -> tuple[Any, ...]:
    identity = event_id(item.anima_id, home, item.seq, None).hex
    at = item.occurred_at.isoformat()
    return (identity, item.anima_id.hex, home, item.seq, at, at, "message.in", item.text, None, item.author,
            item.session_id, None, None, None, None, item.seq)  # fmt: skip


def _memory_row(item: Item, home: int) -> tuple[Any, ...]:
    first, last = 10 * item.seq, 10 * item.seq + 9
    window = window_id(item.anima_id, home, first, last)
    trigger = (
        f'{{"id": "{window}", "anima_id": "{item.anima_id}", "partition": {home}, "first_offset": {first}, '
        f'"last_offset": {last}, "events": 10, "tokens": 300, "score": 10.0, "threshold": 10.0, "reason": "score", '
        f'"fired_at": "{item.occurred_at.isoformat()}"}}'
    )
    return (1, uuid5(window, "memory").hex, 1, item.anima_id.hex, item.seq, item.text, item.text, 0.5, 0.6, "ACTIVE",
            item.occurred_at - timedelta(minutes=63), item.occurred_at, item.occurred_at, "extractive", "synthesize.v1",
            "0" * 64, trigger, first, last, home, item.seq)  # fmt: skip
