"""Vectors are the model's, are computed once per text, and stand beside every item."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from aiokafka.structs import TopicPartition
from structlog.testing import capture_logs

from agents.embed import Embed, progress_name
from agents.embeddings.minilm import Vectors
from agents.embeddings.model import EmbeddingModel
from agents.embeddings.openai import OpenAI
from agents.llm.backoff import Sleep
from agents.llm.errors import ModelError
from sinks import progress, vectors
from sinks.database import Pool
from sinks.items import Item
from stack.settings import Settings
from streams.consumer import NotOwner
from tests.agents.conftest import item
from tests.agents.embeddings.wire import LASTING, PASSING, embeddings
from tests.agents.llm.wire import serving

EVENTS = TopicPartition("elephantasm.events", 0)


class Numbers:
    """An embedding model whose vectors depend on the text alone; it remembers what it was asked."""

    def __init__(self, name: str = "numbers", dimensions: int = 384) -> None:
        self.name, self.dimensions = name, dimensions
        self.asked: list[str] = []

    def vector(self, text: str) -> Any:
        drawn = np.random.default_rng(list(text.encode())).standard_normal(self.dimensions)
        return (drawn / np.linalg.norm(drawn)).astype(np.float32)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.stack([self.vector(text) for text in texts])


class Feed:
    """Hands batches of items to the stage as its consumer would, after the sink."""

    def __init__(self, rows: Pool) -> None:
        self.rows, self.offset = rows, 0

    async def give(
        self, model: EmbeddingModel, items: list[Item], offset: int | None = None, sleep: Sleep = asyncio.sleep
    ) -> None:
        at = self.offset if offset is None else offset
        stage = Embed(Settings(_env_file=None), self.rows, model, sleep=sleep)
        await stage.write(items, {EVENTS: at}, {EVENTS: at + 1})
        self.offset = at + 1


@pytest.fixture
def feed(rows: Pool) -> Feed:
    return Feed(rows)


async def stored(rows: Pool, dimensions: int = 384) -> dict[tuple[int, str, int], Any]:
    """Vectors by layer, model and seq."""
    async with rows.connection() as connection:
        cursor = await connection.execute(
            f"SELECT layer, name, seq, v FROM {vectors.table(dimensions)} JOIN embedding_models AS m ON m.id = model"
        )
        found = await cursor.fetchall()
    return {(row["layer"], row["name"], row["seq"]): row["v"].to_numpy() for row in found}


@pytest.mark.parametrize("dimensions", [384, 1536])
async def test_a_vector_is_the_model_s_to_half_precision(rows: Pool, feed: Feed, dimensions: int) -> None:
    model = Numbers(dimensions=dimensions)
    items = [item(seq, f"text {seq}", author="Ines") for seq in range(20)]
    await feed.give(model, items)
    found = await stored(rows, dimensions)
    for one in items:
        expected = model.vector(f"Ines: text {one.seq}")
        assert np.array_equal(found[0, "numbers", one.seq], expected.astype(np.float16))
    assert len(found) == 20


async def test_a_text_is_computed_once(rows: Pool, feed: Feed) -> None:
    model = Numbers()
    await feed.give(model, [item(0, "same", author="Ines"), item(1, "same", author="Ines")])
    await feed.give(model, [item(2, "same", author="Ines"), item(0, "same", author="Ines", key=b"robin")])
    assert model.asked == ["Ines: same"]
    found = await stored(rows)
    assert np.array_equal(found[0, "numbers", 0], found[0, "numbers", 2])


async def test_an_item_seen_again_keeps_its_vector(rows: Pool, feed: Feed) -> None:
    model = Numbers()
    await feed.give(model, [item(0), item(1)])
    await feed.give(model, [item(1), item(2)])
    assert len(model.asked) == 3
    assert sorted(await stored(rows)) == [(0, "numbers", seq) for seq in range(3)]


async def test_models_stand_side_by_side(rows: Pool, feed: Feed) -> None:
    first, second = Numbers("first"), Numbers("second")
    await feed.give(first, [item(0, layer=1)])
    await feed.give(second, [item(0, layer=1)], offset=0)
    assert sorted(await stored(rows)) == [(1, "first", 0), (1, "second", 0)]
    assert len(second.asked) == 1
    for model in (first, second):
        assert await progress.load(rows, progress_name(model), [EVENTS]) == {EVENTS: 1}


async def test_of_two_workers_one_writes(rows: Pool, feed: Feed) -> None:
    await feed.give(Numbers(), [item(0)])
    with pytest.raises(NotOwner):
        await feed.give(Numbers(), [item(1)], offset=0)
    assert sorted(await stored(rows)) == [(0, "numbers", 0)]


async def test_a_model_has_one_number(rows: Pool) -> None:
    name = str(uuid4())
    async with rows.connection() as connection:
        first = await vectors.model_id(connection, name, 384)
        assert [await vectors.model_id(connection, name, 384) for _ in range(9)] == [first] * 9
        # There are as many numbers as models, not as batches.
        assert await vectors.model_id(connection, f"{name}'", 384) == first + 1


async def test_what_passes_is_waited_out_in_place(rows: Pool, feed: Feed) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        assert await progress.load(rows, progress_name(model), [EVENTS]) == {}

    async with serving() as wire:
        model = OpenAI(api_key="secret", base_url=wire.url, limit_s=5)
        wire.will(*PASSING.values(), embeddings())
        with capture_logs() as told:
            await feed.give(model, [item(0, "one"), item(1, "two")], sleep=sleep)
    assert [len(asked.body["input"]) for asked in wire.asked] == [2] * (len(PASSING) + 1)
    assert sorted(await stored(rows, 1536)) == [(0, model.name, 0), (0, model.name, 1)]
    assert await progress.load(rows, progress_name(model), [EVENTS]) == {EVENTS: 1}
    assert len(told) == len(pauses) == len(PASSING)
    assert all(wire.url in one["reason"] for one in told)
    assert max(pauses) <= 37
    assert pauses[list(PASSING).index("429")] >= 7


@pytest.mark.parametrize("name", LASTING)
async def test_what_does_not_pass_ends_the_stage_where_it_was(rows: Pool, feed: Feed, name: str) -> None:
    answer, named = LASTING[name]
    async with serving() as wire:
        model = OpenAI(api_key="secret", base_url=wire.url, limit_s=5)
        wire.will(answer)
        with pytest.raises(ModelError, match=named):
            await feed.give(model, [item(0)])
        assert await progress.load(rows, progress_name(model), [EVENTS]) == {}
        wire.will(embeddings())
        await feed.give(model, [item(0)])
    assert sorted(await stored(rows, 1536)) == [(0, model.name, 0)]
