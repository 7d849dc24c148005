"""What the stages could not process."""

import base64
import codecs
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.context import Context, Ctx
from api.paging import Limit, Offset
from sinks.database import sql
from streams.records import Label

router = APIRouter(tags=["ops"])
VALUE_BYTES = 4_000


class DeadLetter(BaseModel):
    topic: str = Field(description="Where the record stood.")
    partition: int
    offset: int
    stage: str = Field(description="Who could not process it.")
    reason: str
    attempts: int
    recorded_at: datetime = Field(description="The record's timestamp.")
    key: str | None
    value: str | None = Field(
        description=f"Its first {VALUE_BYTES:,} bytes; the whole is on the topic of dead letters."
    )
    encoding: Literal["utf-8", "base64"] = Field(description="How `value` is written.")
    bytes: int = Field(description="Size of the whole value.")


class DeadLetters(BaseModel):
    total: int
    items: list[DeadLetter]


@router.get("/dead-letters", summary="What could not be processed")
async def dead_letters(
    ctx: Ctx, stage: Annotated[Label | None, Query(examples=["sink"])] = None, limit: Limit = 50, offset: Offset = 0
) -> DeadLetters:
    """The latest first. A caller who may see only some animas gets what stood under their keys."""
    values = {"stage": stage, "keys": await _keys(ctx), "limit": limit, "offset": offset, "most": VALUE_BYTES}
    count = await ctx.row(sql("dead_letters_count"), values)
    rows = await ctx.rows(sql("dead_letters_list"), values)
    return DeadLetters(total=count["total"] if count else 0, items=[_letter(row) for row in rows])


async def _keys(ctx: Context) -> list[bytes] | None:
    """The record keys of the caller's animas: their own, on `events`; their id, on what is derived."""
    if ctx.caller.scope is None:
        return None
    rows = await ctx.rows("SELECT key FROM animas WHERE id = ANY(%s)", [ctx.caller.scope])
    return [row["key"].encode() for row in rows] + [_derived(anima) for anima in ctx.caller.scope]


def _derived(anima: UUID) -> bytes:
    return str(anima).encode()


def _letter(row: dict[str, Any]) -> DeadLetter:
    value = row["value"]
    text = None if value is None else _text(value, complete=len(value) == row["bytes"])
    if value is not None and text is None:
        return _shown(row, base64.b64encode(value).decode(), "base64")
    return _shown(row, text, "utf-8")


def _shown(row: dict[str, Any], value: str | None, encoding: str) -> DeadLetter:
    key = None if row["key"] is None else row["key"].decode(errors="replace")
    return DeadLetter(**row | {"value": value, "key": key, "encoding": encoding, "bytes": row["bytes"] or 0})


def _text(value: bytes, *, complete: bool) -> str | None:
    """None unless it is UTF-8; a character cut in half at the end of an incomplete value is left out."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(value, final=complete)
    except UnicodeDecodeError:
        return None
