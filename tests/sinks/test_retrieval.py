"""The vectors of a layer, as Postgres compares them and as they are read to be compared elsewhere."""

from typing import Any

import numpy as np
import pytest
from pgvector import HalfVector

from api.packs.vector_cache import Run
from sinks import retrieval, vectors
from sinks.database import Pool
from sinks.items import Item, Layer
from tests.sinks.conftest import AT, WREN

DIMENSIONS, COUNT, FIRST = 384, 7, 3
DICE = np.random.default_rng(11)
VECTORS = DICE.standard_normal((COUNT, DIMENSIONS)).astype(np.float16)
QUESTION = HalfVector(DICE.standard_normal(DIMENSIONS))


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


async def asked(rows: Pool, model: int, span: tuple[int, int] | None) -> dict[str, Any]:
    values = retrieval.parameters(WREN, {Layer.event: 0}, model, QUESTION, [], [span])
    async with rows.connection() as connection:
        (row,) = await retrieval.fetch(connection, retrieval.statement(DIMENSIONS), values)
    return row


@pytest.mark.parametrize("size", [1, 2, COUNT, COUNT + 1])
async def test_slices_make_the_whole(rows: Pool, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "SLICE", size)
    model, until, run = await stored(rows), FIRST + COUNT - 1, Run()
    row = await asked(rows, model, (0, until))
    named = {"anima": WREN, "layer": Layer.event, "generation": 0, "model": model, "until": until}
    async with rows.connection() as connection:
        more = retrieval.vectors(row, DIMENSIONS)
        while len(more[1]):
            assert len(more[1]) == min(size, until - max(run.end, FIRST))
            run.append(*more)
            more = await retrieval.next_vectors(connection, DIMENSIONS, named | {"since": run.end})
    assert (row["dissimilarity"], run.first, run.end) == (None, FIRST, until)
    assert run.rows.tobytes() == VECTORS[:-1].astype(np.float32).tobytes()


async def test_without_a_span_postgres_compares(rows: Pool) -> None:
    row = await asked(rows, await stored(rows), None)
    assert row["vectors"] is None
    similarity = -np.frombuffer(row["dissimilarity"], ">f4")
    assert row["similarity_first"] == FIRST
    assert np.allclose(similarity, VECTORS.astype(np.float32) @ QUESTION.to_numpy().astype(np.float32), atol=1e-4)
