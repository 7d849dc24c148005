"""Memories: what was made of windows of events. All of the generation that this process serves."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.context import Context, Ctx
from api.documentation import documented
from api.memory_search import by_meaning, by_words
from api.paging import Limit, Offset
from api.routes import events
from api.waiting import After
from sinks.database import sql
from streams.positions import Position
from streams.records import Memory, MemoryLink, SynthesisTrigger, Text

router = APIRouter(tags=["memories"])
State = Literal["ACTIVE", "DECAYING", "ARCHIVED"]


class StoredMemory(Memory):
    """A revision of a memory as a row. Its window and its links are at `/memories/{id}/events`."""

    first_offset: int = Field(0, exclude=True)
    last_offset: int = Field(0, exclude=True)
    links: tuple[MemoryLink, ...] = Field((), exclude=True)
    seq: int = Field(description="Ordinal of the revision within generation and anima.")
    closed_at: datetime | None = Field(description="Log time at which a later revision replaced it; null: current.")
    position: str


class FoundMemory(StoredMemory):
    score: float = Field(description="Higher is better; only for comparing the results of one search.")


class WeightedMemory(StoredMemory):
    weight: float = Field(description="How much the event weighs in this memory; a memory's weights sum to 1.")


class WeightedEvent(events.StoredEvent):
    weight: float = Field(description="How much the event weighs in the memory; the weights sum to 1.")


class Question(BaseModel):
    anima_id: UUID
    query: Text = Field(min_length=1, max_length=4000)
    limit: int = Field(10, strict=True, ge=1, le=200)


@router.get("/memories", summary="List an anima's memories", dependencies=[After], responses=documented(404))
async def list_(
    ctx: Ctx, anima_id: UUID, state: State | None = None, limit: Limit = 50, offset: Offset = 0
) -> list[StoredMemory]:
    """Current revisions, the newest first. Archived ones only with `state=ARCHIVED`."""
    await ctx.home(anima_id)
    values = {"anima": anima_id, "state": state, "limit": limit, "offset": offset}
    return [stored(ctx, row) for row in await _rows(ctx, "memories_list", values)]


@router.get("/memories/search", summary="Find memories by words", dependencies=[After], responses=documented(404))
async def search(
    ctx: Ctx,
    anima_id: UUID,
    q: Annotated[Text, Query(min_length=1, max_length=4000, examples=["courier parcels"])],
    limit: Limit = 50,
    offset: Offset = 0,
) -> list[FoundMemory]:
    """Those whose summary has one of the words (stemmed), ranked by BM25 over all memories of the anima."""
    await ctx.home(anima_id)
    return [FoundMemory.model_construct(**place(ctx, row)) for row in await by_words(ctx, anima_id, q, limit, offset)]


@router.post("/memories/search/semantic", summary="Find memories by meaning", responses=documented(400, 404, 413))
async def search_semantic(ctx: Ctx, question: Question) -> list[FoundMemory]:
    """Ranked by cosine with the question, over all memories of the anima that have their vector already."""
    await ctx.home(question.anima_id)
    rows = await by_meaning(ctx, question.anima_id, question.query, question.limit)
    return [FoundMemory.model_construct(**place(ctx, row)) for row in rows]


@router.get("/memories/{id}", summary="One memory", dependencies=[After], responses=documented(404))
async def get(ctx: Ctx, id: UUID) -> StoredMemory:  # noqa: A002  the path says id
    """Its current revision."""
    return stored(ctx, await row_of(ctx, id))


@router.get(
    "/memories/{id}/history", summary="All revisions of a memory", dependencies=[After], responses=documented(404)
)
async def history(ctx: Ctx, id: UUID, limit: Limit = 50, offset: Offset = 0) -> list[StoredMemory]:  # noqa: A002
    """The latest first."""
    await row_of(ctx, id)
    rows = await _rows(ctx, "memory_revisions", {"id": id, "limit": limit, "offset": offset})
    return [stored(ctx, row) for row in rows]


@router.get("/memories/{id}/events", summary="What a memory rests on", dependencies=[After], responses=documented(404))
async def events_(ctx: Ctx, id: UUID, limit: Limit = 50, offset: Offset = 0) -> list[WeightedEvent]:  # noqa: A002
    """The events of its window, in log order."""
    memory = await row_of(ctx, id)
    values = {"id": id, "revision": memory["revision"], "limit": limit, "offset": offset}
    rows = await _rows(ctx, "events_of_memory", values)
    return [WeightedEvent.model_construct(**events.place(ctx, row)) for row in rows]


@router.get(
    "/events/{id}/memories", summary="What was made of an event", dependencies=[After], responses=documented(404)
)
async def of_event(ctx: Ctx, id: UUID, limit: Limit = 50, offset: Offset = 0) -> list[WeightedMemory]:  # noqa: A002
    """Current memories that rest on it, the newest first."""
    rows = await rows_of_event(ctx, await events.row_of(ctx, id), limit, offset)
    return [WeightedMemory.model_construct(**place(ctx, row)) for row in rows]


async def row_of(ctx: Context, memory: UUID) -> dict[str, Any]:
    """The row of a memory's current revision. Raises Problem 404."""
    rows = await _rows(ctx, "memory_get", {"id": memory})
    return ctx.owned(rows[0] if rows else None, f"memory {memory}")


async def rows_of_event(ctx: Context, event: dict[str, Any], limit: int | None, offset: int) -> list[dict[str, Any]]:
    """Rows of the memories that rest on an event, with its weight in each."""
    values = {"anima": event["anima_id"], "seq": event["seq"], "limit": limit, "offset": offset}
    return await _rows(ctx, "memories_of_event", values)


async def _rows(ctx: Context, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    return await ctx.rows(sql(query), values | {"generation": ctx.settings.generation})


def stored(ctx: Context, row: dict[str, Any]) -> StoredMemory:
    """A memory from its row."""
    return StoredMemory.model_construct(**place(ctx, row))


def place(ctx: Context, row: dict[str, Any]) -> dict[str, Any]:
    """The row with its position in the topic of memories in place of partition and offset."""
    columns = {name: value for name, value in row.items() if name not in ("partition", "offset")}
    position = Position(ctx.resources.topics.memories.name, row["partition"], row["offset"])
    return columns | {"trigger": SynthesisTrigger(**row["trigger"]), "position": str(position)}
