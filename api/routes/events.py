"""Events: telemetry in, and what was stored of it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from api.context import Ctx, Home
from api.errors import Problem
from api.routes.animas import Limit, Offset
from sinks.database import sql
from streams.positions import Position, event_id
from streams.records import Event

router = APIRouter(prefix="/events", tags=["events"])


class NewEvent(Event):
    anima_id: UUID  # type: ignore[assignment]  # here it is the only thing that names the anima


class Batch(BaseModel):
    anima_id: UUID
    events: list[Event] = Field(min_length=1)


class Accepted(BaseModel):
    """Acknowledged by Kafka. A read with `after` waits until it can see everything up to here."""

    after: str = Field(examples=["elephantasm.events/3/1042"])
    accepted: int


class StoredEvent(Event):
    """An event as a row: with its derived id, its ordinal within the anima, and where it stands in the log."""

    id: UUID
    seq: int | None = Field(None, description="Ordinal within the anima; null until the sink has written the row.")
    position: str
    recorded_at: datetime | None = Field(None, description="Log time.")


@router.post("", status_code=201)
async def post(ctx: Ctx, event: NewEvent, response: Response) -> StoredEvent:
    """Append one event; answers when Kafka has acknowledged it. A dedupe_key seen before answers 200 with the first event."""
    home = await ctx.home(event.anima_id)
    if event.dedupe_key is not None:
        first = await ctx.row(sql("event_get"), [event_id(home.id, 0, 0, event.dedupe_key)])
        if first is not None:
            response.status_code = 200
            return _stored(ctx, first)
    (position,) = await ctx.resources.log.append(home.key, home.partition, [event])
    identity = event_id(home.id, position.partition, position.offset, event.dedupe_key)
    return StoredEvent(**event.model_dump(), id=identity, position=str(position))


@router.post("/batch", status_code=202)
async def post_batch(ctx: Ctx, batch: Batch) -> Accepted:
    """Append many events of one anima, in this order; answers when Kafka has acknowledged all of them."""
    if len(batch.events) > ctx.settings.batch_events:
        reason = f"{len(batch.events):,} events, at most {ctx.settings.batch_events:,} (ELEPHANTASM_BATCH_EVENTS)"
        raise Problem(413, [{"field": "body.events", "reason": reason}])
    home = await ctx.home(batch.anima_id)
    strangers = [i for i, event in enumerate(batch.events) if event.anima_id not in (None, home.id)]
    if strangers:
        raise Problem(422, [{"field": f"body.events.{strangers[0]}.anima_id", "reason": "disagrees with the batch's"}])
    fresh = await _unknown(ctx, home, batch.events)
    if not fresh:
        last = await ctx.row(sql("events_last"), [home.id])
        assert last is not None
        return Accepted(after=str(Position(ctx.resources.topics.events.name, home.partition, last["offset"])), accepted=0)
    positions = await ctx.resources.log.append(home.key, home.partition, fresh)
    return Accepted(after=str(positions[-1]), accepted=len(fresh))


async def _unknown(ctx: Ctx, home: Home, events: list[Event]) -> list[Event]:
    """Without those whose dedupe key is stored already, or comes a second time."""
    keyed = {event_id(home.id, 0, 0, event.dedupe_key): event for event in reversed(events) if event.dedupe_key is not None}
    if not keyed:
        return events
    stored = {row["id"] for row in await ctx.rows(sql("events_existing"), [list(keyed)])}
    chosen = {id(event) for identity, event in keyed.items() if identity not in stored}
    return [event for event in events if event.dedupe_key is None or id(event) in chosen]


@router.get("")
async def list_(
    ctx: Ctx,
    anima_id: UUID,
    event_type: Annotated[str | None, Query(max_length=64)] = None,
    session_id: Annotated[str | None, Query(max_length=200)] = None,
    min_importance: Annotated[float | None, Query(ge=0, le=1)] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> list[StoredEvent]:
    """An anima's events, the newest in the log first."""
    await ctx.home(anima_id)
    values = {
        "anima": anima_id, "event_type": event_type, "session_id": session_id, "min_importance": min_importance,
        "limit": limit, "offset": offset,
    }  # fmt: skip
    return [_stored(ctx, row) for row in await ctx.rows(sql("events_list"), values)]


@router.get("/{id}")
async def get(ctx: Ctx, id: UUID) -> StoredEvent:  # noqa: A002  the path says id
    row = await ctx.row(sql("event_get"), [id])
    if row is None or not ctx.caller.may_see(row["anima_id"]):
        raise Problem(404, f"event {id} is not known")
    return _stored(ctx, row)


def _stored(ctx: Ctx, row: dict[str, Any]) -> StoredEvent:
    position = Position(ctx.resources.topics.events.name, row.pop("partition"), row.pop("offset"))
    return StoredEvent.model_construct(**row, position=str(position))
