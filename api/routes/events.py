"""Events: telemetry in, and what was stored of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import psycopg
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from api.context import Context, Ctx, Home
from api.documentation import documented
from api.errors import Invalid, Problem, Unavailable
from api.paging import Limit, Offset
from api.waiting import After, passed
from sinks.database import sql
from sinks.progress import NotYet
from streams.positions import Position, event_id
from streams.records import Event, Label, Text

router = APIRouter(prefix="/events", tags=["events"])
DECIDE_S = 2.0  # how long an event with a dedupe_key waits to know whether it is the first

EventType = Annotated[Text, Query(min_length=1, max_length=64, examples=["message.in"])]


class NewEvent(Event):
    anima_id: UUID  # here it is the only thing that names the anima


class Batch(BaseModel):
    anima_id: UUID
    events: list[Event] = Field(min_length=1)


class Accepted(BaseModel):
    """Acknowledged by Kafka. A read with `after` waits until it can see all events of the batch."""

    after: str
    accepted: int = Field(description="Events appended to the log.")
    repeated: int = Field(description="Events left out, because one with their dedupe_key is stored or stands before.")


class StoredEvent(Event):
    """An event as a row: with its derived id, its ordinal within the anima, and where it stands in the log."""

    id: UUID
    seq: int | None = Field(None, description="Ordinal within the anima; null until the sink has written the row.")
    position: str
    recorded_at: datetime | None = Field(None, description="Log time; null until the sink has written the row.")


_REPEATED: dict[str, Any] = {
    "model": StoredEvent, "description": "An event with this dedupe_key exists: the first one. Nothing was written."
}  # fmt: skip
_UNDECIDED: dict[str, Any] = {
    "model": StoredEvent,
    "description": "Acknowledged by Kafka; whether its dedupe_key is new is not known until its row can be read.",
}


@router.post(
    "", status_code=201, summary="Append one event",
    responses=documented(400, 404, 413) | {200: _REPEATED, 202: _UNDECIDED},
)  # fmt: skip
async def post(ctx: Ctx, event: NewEvent, response: Response) -> StoredEvent:
    """Answers when Kafka has acknowledged the event; with a `dedupe_key`, when its row shows that it is the first."""
    home = await ctx.home(event.anima_id)
    if event.dedupe_key is not None and (first := await _first(ctx, home, event.dedupe_key)) is not None:
        response.status_code = 200
        return first
    (position,) = await ctx.resources.log.append(home.key, home.partition, [event])
    identity = event_id(home.id, position.partition, position.offset, event.dedupe_key)
    sent = StoredEvent.model_construct(**dict(event), id=identity, position=str(position))
    if event.dedupe_key is None:
        return sent
    response.status_code, decided = await _decided(ctx, home, event.dedupe_key, sent, position)
    return decided


async def _first(ctx: Context, home: Home, dedupe_key: str) -> StoredEvent | None:
    row = await ctx.row(sql("event_get"), [event_id(home.id, 0, 0, dedupe_key)])
    return stored(ctx, row) if row is not None else None


async def _decided(
    ctx: Context, home: Home, dedupe_key: str, sent: StoredEvent, position: Position
) -> tuple[int, StoredEvent]:
    """Status and event: another request may have sent the same key in the meantime, and only one of them was first."""
    try:
        await passed(ctx, position, DECIDE_S)
        first = await _first(ctx, home, dedupe_key)
    except (NotYet, Unavailable, psycopg.OperationalError):
        first = None
    if first is None:
        return 202, sent
    return (201 if first.position == str(position) else 200), first


async def _few_enough(ctx: Ctx, request: Request) -> None:
    """Raises Problem 413. Counting comes before the body is validated, which costs much more than reading it."""
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        return  # validation says what is wrong with it
    events = body.get("events") if isinstance(body, dict) else None
    if isinstance(events, list) and len(events) > ctx.settings.batch_events:
        reason = f"{len(events):,} events, at most {ctx.settings.batch_events:,} (ELEPHANTASM_BATCH_EVENTS)"
        raise Problem(413, [{"field": "body.events", "reason": reason}])


@router.post(
    "/batch", status_code=202, summary="Append many events", dependencies=[Depends(_few_enough)],
    responses=documented(400, 404, 413),
)  # fmt: skip
async def post_batch(ctx: Ctx, batch: Batch) -> Accepted:
    """Many events of one anima, in this order; answers when Kafka has acknowledged all of them.

    After 503 some of them may be on the log: events with a `dedupe_key` can be sent again.
    """
    home = await ctx.home(batch.anima_id)
    strangers = [i for i, event in enumerate(batch.events) if event.anima_id not in (None, home.id)]
    if strangers:
        raise Invalid(f"body.events.{strangers[0]}.anima_id", "disagrees with the batch's")
    known = await _known(ctx, home, batch.events)
    fresh = _fresh(home, batch.events, set(known))
    positions = await ctx.resources.log.append(home.key, home.partition, fresh)
    last = (
        positions[-1] if positions else Position(ctx.resources.topics.events.name, home.partition, max(known.values()))
    )
    return Accepted(after=str(last), accepted=len(fresh), repeated=len(batch.events) - len(fresh))


async def _known(ctx: Context, home: Home, events: Sequence[Event]) -> dict[UUID, int]:
    """Offsets of the rows that these events repeat, by id."""
    ids = [event_id(home.id, 0, 0, event.dedupe_key) for event in events if event.dedupe_key is not None]
    rows = await ctx.rows('SELECT id, "offset" FROM events WHERE id = ANY(%s)', [ids]) if ids else []
    return {row["id"]: row["offset"] for row in rows}


def _fresh(home: Home, events: Sequence[Event], seen: set[UUID]) -> list[Event]:
    """Without those whose dedupe key was seen before, here or in the rows."""
    fresh = []
    for event in events:
        if event.dedupe_key is not None:
            identity = event_id(home.id, 0, 0, event.dedupe_key)
            if identity in seen:
                continue
            seen.add(identity)
        fresh.append(event)
    return fresh


@router.get("", summary="List an anima's events", dependencies=[After], responses=documented(404))
async def list_(
    ctx: Ctx,
    anima_id: UUID,
    event_type: EventType | None = None,
    session_id: Annotated[Label | None, Query()] = None,
    min_importance: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> list[StoredEvent]:
    """The newest in the log first."""
    await ctx.home(anima_id)
    values = {
        "anima": anima_id, "event_type": event_type, "session_id": session_id, "min_importance": min_importance,
        "limit": limit, "offset": offset,
    }  # fmt: skip
    return [stored(ctx, row) for row in await ctx.rows(sql("events_list"), values)]


@router.get("/{id}", summary="One event", dependencies=[After], responses=documented(404))
async def get(ctx: Ctx, id: UUID) -> StoredEvent:  # noqa: A002  the path says id
    return stored(ctx, await row_of(ctx, id))


async def row_of(ctx: Context, event: UUID) -> dict[str, Any]:
    """The row of an event. Raises Problem 404."""
    return ctx.owned(await ctx.row(sql("event_get"), [event]), f"event {event}")


def stored(ctx: Context, row: dict[str, Any]) -> StoredEvent:
    """An event from its row."""
    return StoredEvent.model_construct(**place(ctx, row))


def place(ctx: Context, row: dict[str, Any]) -> dict[str, Any]:
    """The row with its position in the log in place of partition and offset."""
    columns = {name: value for name, value in row.items() if name not in ("partition", "offset")}
    return columns | {"position": str(Position(ctx.resources.topics.events.name, row["partition"], row["offset"]))}
