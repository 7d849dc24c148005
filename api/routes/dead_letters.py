"""What could not be processed, and what to do about it."""

import base64
import codecs
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api import dead_letters
from api.context import Context, Ctx
from api.documentation import documented
from api.errors import Problem
from api.paging import Limit, Offset
from sinks.database import sql
from streams.positions import Position
from streams.records import Label, Moment, Text

router = APIRouter(prefix="/dead-letters", tags=["ops"])
VALUE_BYTES = 4_000
MOST = 200
Reason = Annotated[Text, Field(min_length=1, max_length=500)]
State = Literal["open", "redriven", "discarded"]


class DeadLetter(BaseModel):
    id: UUID
    topic: str = Field(description="Where the record stood.")
    partition: int
    offset: int
    stage: str = Field(description="Who could not process it.")
    reason: str
    attempts: int = Field(description="Which try this was.")
    recorded_at: datetime = Field(description="The record's timestamp.")
    failed_at: datetime = Field(description="When the stage gave up.")
    state: State
    decided_at: datetime | None = Field(description="When it was redriven or discarded.")
    decided_by: str | None
    note: str | None = Field(description="Where the redriven record stands; or why the letter was discarded.")
    key: str | None
    value: str | None = Field(description=f"In lists, its first {VALUE_BYTES:,} bytes.")
    encoding: Literal["utf-8", "base64"] = Field(description="How `value` is written.")
    bytes: int = Field(description="Size of the whole value.")


class DeadLetters(BaseModel):
    total: int
    items: list[DeadLetter]


class Attempt(BaseModel):
    """One letter of a record's history."""

    id: UUID
    position: str = Field(description="Where the record stood at this try.")
    attempt: int
    reason: str
    failed_at: datetime
    state: State
    decided_at: datetime | None
    decided_by: str | None
    note: str | None


class DeadLetterWithHistory(DeadLetter):
    key_base64: str | None = Field(description="The key's own bytes.")
    history: list[Attempt] = Field(description="Every try that failed, the first one first, this one among them.")


class Selection(BaseModel):
    """Which open letters: by id, or by all that is given of stage, topic and reason."""

    model_config = ConfigDict(extra="forbid")
    ids: list[UUID] | None = Field(None, min_length=1, max_length=MOST)
    stage: Label | None = None
    topic: Label | None = None
    reason: Reason | None = Field(None, description="A part of it, in any case.")
    failed_before: Moment | None = Field(None, description="Only what had failed by then; for calls that follow on.")
    limit: int = Field(MOST, strict=True, ge=1, le=MOST, description="Most letters of one call, the oldest first.")
    dry_run: bool = Field(False, strict=True, description="Only say which they are.")

    @model_validator(mode="after")
    def _chooses(self) -> Self:
        if (self.ids is None) == (self.stage is None and self.topic is None and self.reason is None):
            raise ValueError("give either ids, or some of stage, topic and reason")
        return self

    def filter(self) -> dead_letters.Filter:
        of = (self.ids, self.stage, self.topic, self.reason)
        return dead_letters.Filter(*of, self.failed_before, self.limit)


class Discard(Selection):
    why: Annotated[Text, Field(min_length=1, max_length=1000)]


class Decided(BaseModel):
    id: UUID
    stage: str
    source: str = Field(description="Where the record stood.")
    reason: str
    attempts: int
    position: str | None = Field(description="Where the redriven record stands.")


class Decisions(BaseModel):
    matching: int = Field(description="Open letters that match, beyond the limit too, before this call.")
    items: list[Decided]
    dry_run: bool


_REFUSALS = documented(400, 403, 404, 409, 413)


@router.get("", summary="What could not be processed")
async def dead_letters_(
    ctx: Ctx,
    state: Annotated[State | None, Query()] = None,
    stage: Annotated[Label | None, Query(examples=["sink"])] = None,
    topic: Annotated[Label | None, Query(examples=["elephantasm.events"])] = None,
    reason: Annotated[Reason | None, Query(description="A part of it, in any case.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> DeadLetters:
    """The latest first. A caller who may see only some animas gets what stood under their keys."""
    values = {"state": state, "stage": stage, "topic": topic, "reason": reason, "keys": await _keys(ctx)}
    count = await ctx.row(sql("dead_letters_count"), values)
    rows = await ctx.rows(sql("dead_letters_list"), values | {"limit": limit, "offset": offset, "most": VALUE_BYTES})
    return DeadLetters(total=count["total"] if count else 0, items=[DeadLetter(**_shown(row)) for row in rows])


@router.get("/{letter_id}", summary="One dead letter, with its history", responses=documented(404))
async def dead_letter(ctx: Ctx, letter_id: UUID) -> DeadLetterWithHistory:
    """All of its bytes, and every try at its record."""
    row = await ctx.row(sql("dead_letters_get"), {"id": letter_id, "keys": await _keys(ctx)})
    if row is None:
        raise Problem(404, f"dead letter {letter_id} is not known")
    attempts = await ctx.rows(sql("dead_letters_attempts"), [letter_id])
    key = None if row["key"] is None else base64.b64encode(row["key"]).decode()
    return DeadLetterWithHistory(**_shown(row), key_base64=key, history=[_attempt(one) for one in attempts])


@router.post("/redrive", summary="Send records through the pipeline again", responses=_REFUSALS)
async def redrive(ctx: Ctx, selection: Selection) -> Decisions:
    """Appends each record to the topic it came from, with its own bytes and timestamp and headers that say so. It is
    processed at its new position like any other; what fails again is a new letter, with the history of this one.
    """
    ctx.operator()
    if selection.dry_run:
        chosen = await dead_letters.choose(ctx, selection.filter(), sendable=True)
        return _decisions(chosen, [None] * len(chosen.letters), dry_run=True)
    chosen, places = await dead_letters.redrive(ctx, selection.filter())
    return _decisions(chosen, places, dry_run=False)


@router.post("/discard", summary="Put letters aside", responses=_REFUSALS)
async def discard(ctx: Ctx, selection: Discard) -> Decisions:
    """They stay, with who discarded them and why, and are offered for redriving no more."""
    ctx.operator()
    if selection.dry_run:
        chosen = await dead_letters.choose(ctx, selection.filter(), sendable=False)
    else:
        chosen = await dead_letters.discard(ctx, selection.filter(), selection.why)
    return _decisions(chosen, [None] * len(chosen.letters), dry_run=selection.dry_run)


def _decisions(chosen: dead_letters.Chosen, places: list[Any], *, dry_run: bool) -> Decisions:
    items = [
        Decided(
            id=one.id, stage=one.stage, source=str(one.source), reason=one.reason, attempts=one.attempts,
            position=None if place is None else str(place),
        )
        for one, place in zip(chosen.letters, places, strict=True)
    ]  # fmt: skip
    return Decisions(matching=chosen.matching, items=items, dry_run=dry_run)


async def _keys(ctx: Context) -> list[bytes] | None:
    """The record keys of the caller's animas: their own, on `events`; their id, on what is derived."""
    if ctx.caller.scope is None:
        return None
    rows = await ctx.rows("SELECT key FROM animas WHERE id = ANY(%s)", [ctx.caller.scope])
    return [row["key"].encode() for row in rows] + [_derived(anima) for anima in ctx.caller.scope]


def _derived(anima: UUID) -> bytes:
    return str(anima).encode()


def _attempt(row: dict[str, Any]) -> Attempt:
    position = Position(row["topic"], row["partition"], row["offset"])
    return Attempt(**row, position=str(position), attempt=row["attempts"])


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """The row with key and value as text."""
    value, size = row["value"], row["bytes"] or 0
    text = None if value is None else _text(value, complete=len(value) == size)
    key = None if row["key"] is None else row["key"].decode(errors="replace")
    encoding = "utf-8" if value is None or text is not None else "base64"
    if encoding == "base64":
        text = base64.b64encode(value).decode()
    return row | {"key": key, "value": text, "encoding": encoding, "bytes": size}


def _text(value: bytes, *, complete: bool) -> str | None:
    """None unless it is UTF-8; a character cut in half at the end of an incomplete value is left out."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(value, final=complete)
    except UnicodeDecodeError:
        return None
