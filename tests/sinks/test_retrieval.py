"""The vectors of a layer, as Postgres compares them and as they are read to be compared elsewhere."""

from typing import Any

import numpy as np
import pytest
from pgvector import HalfVector
from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH

from agents.index import CHUNK
from api.packs.layer_cache import Run
from sinks import retrieval, vectors
from sinks.database import Pool
from sinks.items import Item, Layer
from sinks.retrieval import LayerKey
from tests.sinks.conftest import AT, WREN

DIMENSIONS, COUNT, FIRST = 384, 7, 3
DICE = np.random.default_rng(11)
VECTORS = DICE.standard_normal((COUNT, DIMENSIONS)).astype(np.float16)
QUESTION = DICE.standard_normal(DIMENSIONS).astype(np.float16).astype(np.float32)


async def stored(rows: Pool) -> int:
    """COUNT vectors of events from seq FIRST on; one of another layer, which is not asked for."""
    items = [Item(WREN, Layer.event, 0, FIRST + at, "said", None, None, AT) for at in range(COUNT)]
    items.append(Item(WREN, Layer.memory, 1, 0, "remembered", None, None, AT))
    async with rows.connection() as connection, connection.transaction():
        model = await vectors.model_id(connection, "test", DIMENSIONS)
        content, made = vectors.content_hash("x"), [*VECTORS, VECTORS[0]]
        pairs = zip(items, made, strict=True)
        await vectors.store(connection, DIMENSIONS, model, [(item, content, HalfVector(one)) for item, one in pairs])
    return model


async def asked(rows: Pool, key: LayerKey, most_held: int) -> dict[str, Any]:
    values = retrieval.parameters([key], [], vectors_since=[0], most_held=most_held)
    async with rows.connection() as connection:
        (row,) = await retrieval.fetch(connection, retrieval.statement("retrieve", DIMENSIONS), values)
    return row


@pytest.mark.parametrize("size", [1, 2, COUNT, COUNT + 1])
async def test_slices_make_the_whole(rows: Pool, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "SLICE", size)
    key, run = LayerKey(WREN, Layer.event, 0, await stored(rows)), Run()
    row = await asked(rows, key, CHUNK)
    assert row["held"]
    async with rows.connection() as connection:
        first, more = retrieval.vectors(row, DIMENSIONS)
        while len(more):
            assert len(more) == min(size, FIRST + COUNT - max(run.end, FIRST))
            run.append(first, more)
            first, more = await retrieval.next_vectors(connection, key, DIMENSIONS, run.end)
    assert (run.first, run.end) == (FIRST, FIRST + COUNT)
    assert run.rows.tobytes() == VECTORS.astype(np.float32).tobytes()


async def test_of_a_layer_too_large_to_hold_none_is_read(rows: Pool) -> None:
    row = await asked(rows, LayerKey(WREN, Layer.event, 0, await stored(rows)), CHUNK - 1)
    assert not row["held"]
    assert len(retrieval.vectors(row, DIMENSIONS)[1]) == 0


async def test_postgres_compares_what_is_not_held(rows: Pool) -> None:
    key = LayerKey(WREN, Layer.event, 0, await stored(rows))
    async with rows.connection() as connection:
        first, similarity = await retrieval.compare(connection, key, QUESTION)
        nothing = await retrieval.compare(connection, key._replace(generation=7), QUESTION)
    assert first == FIRST
    assert np.allclose(similarity, VECTORS.astype(np.float32) @ QUESTION, atol=1e-4)
    assert nothing[0] == len(nothing[1]) == 0


def test_what_each_pack_asks_is_parsed_once() -> None:
    assert len(retrieval.statement("retrieve_with_view", 1536)) <= MAX_CACHED_STATEMENT_LENGTH
