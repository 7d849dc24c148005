"""embed: vectors for what is visible, in batches. Nobody waits for it: until then items are found by their words."""

from functools import partial
from typing import Any

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector_async

from agents.embeddings.model import EmbeddingModel, embedding_model
from sinks import progress, vectors
from sinks.database import Pool, pool
from sinks.items import Item, visible
from stack.settings import Settings
from streams.consumer import Batches, Consumer, Offsets, run_loop
from streams.kafka import topics_of

STAGE = "embed"
TEXTS = 256  # per batch: about a second of work


def progress_name(model: EmbeddingModel) -> str:
    """Progress is kept per model: another model starts at the beginning of the log, beside the vectors of the first."""
    return f"{STAGE} {model.name}"


class Embed:
    def __init__(self, settings: Settings, pool: Pool, model: EmbeddingModel) -> None:
        self.settings, self.pool, self.model = settings, pool, model

    async def prepare(self, batches: Batches) -> list[Item]:
        return await visible(self.settings, self.pool, batches)

    async def write(self, items: list[Item], expected: Offsets, reached: Offsets) -> None:
        async with self.pool.connection() as connection:
            number = await vectors.model_id(connection, self.model.name, self.model.dimensions)
            made = await self._vectors(connection, number, items) if items else []
            async with connection.transaction():
                await progress.advance(connection, progress_name(self.model), expected, reached)
                await vectors.store(connection, self.model.dimensions, number, made)

    async def _vectors(
        self, connection: psycopg.AsyncConnection[Any], number: int, items: list[Item]
    ) -> list[tuple[Item, Any, HalfVector]]:
        """Of the items that have none yet; a text seen before costs nothing."""
        done = await vectors.embedded(connection, self.model.dimensions, number, items)
        missing = [item for item in items if (item.anima_id, item.layer, item.generation, item.seq) not in done]
        texts = {vectors.content_hash(text): text for text in map(vectors.embedded_text, missing)}
        found = await vectors.kept(connection, self.model.dimensions, number, list(texts))
        fresh = [content for content in texts if content not in found]
        if fresh:
            computed = await self.model.embed([texts[content] for content in fresh])
            found |= {content: HalfVector(vector) for content, vector in zip(fresh, computed, strict=True)}
        hashes = [vectors.content_hash(vectors.embedded_text(item)) for item in missing]
        return [(item, content, found[content]) for item, content in zip(missing, hashes, strict=True)]


async def main(settings: Settings) -> None:
    topics = topics_of(settings)
    model = embedding_model(settings)
    async with pool(settings, configure=register_vector_async) as rows:
        await rows.wait()
        embed = Embed(settings, rows, model)
        load = partial(progress.take_over, rows, progress_name(model))
        names = [topics.events.name, topics.memories.name]
        await Consumer(settings, STAGE, names, load, embed.prepare, embed.write, records=TEXTS).run()


def run(settings: Settings) -> None:
    run_loop(main(settings))
