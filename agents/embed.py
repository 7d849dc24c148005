"""embed: vectors for what is visible, in batches. Nobody waits for it: until then items are found by their words."""

import asyncio
import sys
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import structlog
from pgvector import HalfVector
from pgvector.psycopg import register_vector_async
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from agents.embeddings.minilm import Vectors
from agents.embeddings.model import EmbeddingModel, embedding_model
from agents.llm.backoff import Sleep, wait
from agents.llm.errors import ModelError, RetryLaterError
from sinks import progress, vectors
from sinks.database import Pool, pool
from sinks.items import Item, visible
from stack.settings import Settings
from streams.consumer import Batches, Consumer, Offsets, run_loop
from streams.kafka import topics_of

log = structlog.get_logger()
STAGE = "embed"
TEXTS = 256  # per batch: about a second of work


def progress_name(model: EmbeddingModel) -> str:
    """Progress is kept per model: another model starts at the beginning of the log, beside the vectors of the first."""
    return f"{STAGE} {model.name}"


class Embed:
    """The shell. What passes is waited out, in place; what does not pass ends the stage and says why."""

    def __init__(self, settings: Settings, pool: Pool, model: EmbeddingModel, *, sleep: Sleep = asyncio.sleep) -> None:
        self.settings, self.pool, self.model = settings, pool, model
        retry = retry_if_exception_type(RetryLaterError)
        self.retrying = AsyncRetrying(retry=retry, wait=wait, sleep=sleep, before_sleep=self._tell)

    async def prepare(self, batches: Batches) -> list[Item]:
        return await visible(self.settings, self.pool, batches)

    async def write(self, items: list[Item], expected: Offsets, reached: Offsets) -> None:
        async with self.pool.connection() as connection:
            number = await vectors.model_id(connection, self.model.name, self.model.dimensions)
            work = await self._work(connection, number, items) if items else Work([], {}, {})
        # No connection is held meanwhile: a provider may take its time.
        found = work.kept | await self._computed(work.fresh)
        async with self.pool.connection() as connection, connection.transaction():
            await progress.advance(connection, progress_name(self.model), expected, reached)
            made = [(item, content, found[content]) for item, content in work.items]
            await vectors.store(connection, self.model.dimensions, number, made)

    async def _work(self, connection: psycopg.AsyncConnection[Any], number: int, items: list[Item]) -> "Work":
        done = await vectors.embedded(connection, self.model.dimensions, number, items)
        missing = [item for item in items if (item.anima_id, item.layer, item.generation, item.seq) not in done]
        texts = [vectors.embedded_text(item) for item in missing]
        contents = [vectors.content_hash(text) for text in texts]
        kept = await vectors.kept(connection, self.model.dimensions, number, contents)
        fresh = {content: text for content, text in zip(contents, texts, strict=True) if content not in kept}
        return Work(list(zip(missing, contents, strict=True)), kept, fresh)

    async def _computed(self, texts: dict[UUID, str]) -> dict[UUID, HalfVector]:
        if not texts:
            return {}
        computed: Vectors = await self.retrying(self.model.embed, list(texts.values()))
        return dict(zip(texts, map(HalfVector, computed), strict=True))

    def _tell(self, state: RetryCallState) -> None:
        reason = str(state.outcome.exception()) if state.outcome else ""
        log.warning("embed waits", model=self.model.name, reason=reason, seconds=round(state.upcoming_sleep, 1))


class Work(NamedTuple):
    """Items without a vector, by content; the vectors known of these contents; the texts still to be computed."""

    items: list[tuple[Item, UUID]]
    kept: dict[UUID, HalfVector]
    fresh: dict[UUID, str]


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Raises CancelledError if the stage is to stop meanwhile: whoever goes on from its progress asks again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
            raise asyncio.CancelledError


async def main(settings: Settings) -> None:
    """Raises WrongSettingError or RefusedError if no further batch can succeed."""
    topics = topics_of(settings)
    model = embedding_model(settings, settings.llm_timeout_s)
    async with pool(settings, configure=register_vector_async) as rows:
        stopping = asyncio.Event()
        embed = Embed(settings, rows, model, sleep=partial(pause, stopping))
        load = partial(progress.take_over, rows, progress_name(model))
        names = [topics.events.name, topics.memories.name]
        consumer = Consumer(settings, STAGE, names, load, embed.prepare, embed.write, records=TEXTS, stopping=stopping)
        await consumer.run()


def run(settings: Settings) -> None:
    try:
        run_loop(main(settings), computes=True)
    except ModelError as error:
        sys.exit(f"elephantasm: {error}")
