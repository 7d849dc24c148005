"""Lineage: up to the positions in the log that an item rests on, down to what was derived from it."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.context import Context, Ctx
from api.documentation import documented
from api.routes import events, memories
from api.waiting import After
from sinks.database import sql
from streams.positions import Position

router = APIRouter(prefix="/lineage", tags=["lineage"])
Kind = Literal["event", "memory"]
MOST_DERIVED = 1000


class Source(BaseModel):
    """One event, and where it stands in the log."""

    event_id: UUID
    seq: int
    position: str
    recorded_at: datetime = Field(description="Log time.")
    occurred_at: datetime
    weight: float | None = Field(description="In the memory; null for the event itself.")


class Trigger(BaseModel):
    """The decision to synthesise a window, and why."""

    id: UUID
    reason: str
    score: float
    threshold: float
    fired_at: datetime
    events: int
    tokens: int
    first: str = Field(description="Position of the window's first event.")
    last: str = Field(description="Position of the window's last event.")

    @classmethod
    def of(cls, ctx: Context, trigger: dict[str, Any]) -> Self:
        topic, partition = ctx.resources.topics.events.name, trigger["partition"]
        window = {name: str(Position(topic, partition, trigger[f"{name}_offset"])) for name in ("first", "last")}
        return cls(**trigger | window)


class Synthesis(BaseModel):
    """How a memory was made: by which decision, model, prompt and generation."""

    trigger: Trigger
    model: str
    prompt_name: str
    prompt_hash: str
    generation: int

    @classmethod
    def of(cls, ctx: Context, memory: dict[str, Any]) -> Self:
        return cls(**memory | {"trigger": Trigger.of(ctx, memory["trigger"])})


class Derived(BaseModel):
    """One item that rests on this one."""

    kind: Literal["memory"] = "memory"
    id: UUID
    revision: int
    position: str
    weight: float
    made: Synthesis


class Lineage(BaseModel):
    kind: Kind
    id: UUID
    anima_id: UUID
    revision: int | None = Field(description="null: events have no revisions.")
    position: str = Field(description="Where its own record stands.")
    recorded_at: datetime = Field(description="Log time from which it was known.")
    made: Synthesis | None = Field(description="null: an event is not derived.")
    sources: list[Source] = Field(description="The events that it rests on, in log order; for an event, itself.")
    derived: list[Derived]


@router.get("/{kind}/{id}", summary="Where an item comes from", dependencies=[After], responses=documented(404))
async def get(ctx: Ctx, kind: Kind, id: UUID) -> Lineage:  # noqa: A002  the path says id
    """Up to source positions, trigger, model, prompt and generation; down to what was derived from it."""
    return await (_of_event(ctx, id) if kind == "event" else _of_memory(ctx, id))


async def _of_event(ctx: Context, event: UUID) -> Lineage:
    row = await events.row_of(ctx, event)
    derived = await memories.rows_of_event(ctx, row, MOST_DERIVED, 0)
    return Lineage(
        kind="event",
        revision=None,
        made=None,
        sources=[_source(ctx, row | {"weight": None})],
        derived=[Derived(**memories.place(ctx, one) | {"made": Synthesis.of(ctx, one)}) for one in derived],
        **_common(events.place(ctx, row)),
    )


async def _of_memory(ctx: Context, memory: UUID) -> Lineage:
    row = await memories.row_of(ctx, memory)
    values = {"generation": row["generation"], "id": memory, "revision": row["revision"]}
    sources = await ctx.rows(sql("lineage_sources"), values)
    return Lineage(
        kind="memory",
        revision=row["revision"],
        made=Synthesis.of(ctx, row),
        sources=[_source(ctx, one) for one in sources],
        derived=[],
        **_common(memories.place(ctx, row)),
    )


def _common(placed: dict[str, Any]) -> dict[str, Any]:
    return {name: placed[name] for name in ("id", "anima_id", "position", "recorded_at")}


def _source(ctx: Context, row: dict[str, Any]) -> Source:
    return Source(event_id=row["id"], **events.place(ctx, row))
