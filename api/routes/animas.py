"""Animas: whose memory this is."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.context import Ctx, Home
from api.errors import Problem
from sinks import progress
from streams.kafka import partition_of
from streams.positions import InvalidKey, anima_of
from streams.records import Configure, Label, Weights

router = APIRouter(prefix="/animas", tags=["animas"])
Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]


class NewAnima(BaseModel):
    name: Label = Field(examples=["Wren"])
    key: Label | None = Field(
        None, description="The record key that producers use for it on the topic. Left out: its id.", examples=["wren"]
    )
    description: str | None = Field(None, max_length=2000)


class AnimaChange(BaseModel):
    name: Label | None = None
    description: str | None = Field(None, max_length=2000)


class Anima(BaseModel):
    id: UUID
    key: str = Field(description="Publish to the topic under this key.")
    name: str
    description: str | None
    weights: Weights | None = Field(description="Accumulation weights of its own; null: the defaults.")
    events: int
    created_at: datetime
    updated_at: datetime


_ROW = "SELECT id, key, name, description, weights, events, created_at, updated_at FROM animas"
_IN_SCOPE = "(%(scope)s::uuid[] IS NULL OR id = ANY(%(scope)s))"


@router.post("", status_code=201)
async def create(ctx: Ctx, new: NewAnima) -> Anima:
    """Register an anima through the log; answers when it can be read."""
    key = new.key or str(uuid4())
    try:
        anima = anima_of(key.encode())
    except InvalidKey as error:
        raise Problem(422, [{"field": "body.key", "reason": str(error)}]) from None
    if await ctx.row("SELECT FROM animas WHERE id = %s", [anima]) is not None:
        raise Problem(409, f"an anima with the key {key!r} exists: {anima}")
    home = Home(anima, key.encode(), partition_of(key.encode(), ctx.settings.partitions))
    await change(ctx, home, Configure(name=new.name, description=new.description))
    return await read(ctx, anima)


@router.get("")
async def list_(ctx: Ctx, limit: Limit = 50, offset: Offset = 0) -> list[Anima]:
    """In the order of their names."""
    return await _select(ctx, "true", limit=limit, offset=offset)


@router.get("/search")
async def search(
    ctx: Ctx, name: Annotated[str, Query(min_length=1, max_length=200)], limit: Limit = 50, offset: Offset = 0
) -> list[Anima]:
    """Those whose name begins with `name`; case does not count."""
    pattern = name.lower().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
    return await _select(ctx, "lower(name) LIKE %(pattern)s", pattern=pattern, limit=limit, offset=offset)


@router.get("/{anima_id}")
async def get(ctx: Ctx, anima_id: UUID) -> Anima:
    await ctx.home(anima_id)
    return await read(ctx, anima_id)


@router.patch("/{anima_id}")
async def patch(ctx: Ctx, anima_id: UUID, wanted: AnimaChange) -> Anima:
    """Change what is given; answers when the change can be read."""
    home = await ctx.home(anima_id)
    given = wanted.model_dump(exclude_unset=True)
    if "name" in given and given["name"] is None:
        raise Problem(422, [{"field": "body.name", "reason": "an anima has a name"}])
    await change(ctx, home, Configure(**given))
    return await read(ctx, anima_id)


async def change(ctx: Ctx, home: Home, record: Configure) -> None:
    """Append a configuration to the log and wait until it can be read."""
    (position,) = await ctx.resources.log.append(home.key, home.partition, [record])
    await progress.wait(ctx.pool, "sink", position, ctx.settings.after_timeout_s)


async def read(ctx: Ctx, anima: UUID) -> Anima:
    row = await ctx.row(f"{_ROW} WHERE id = %s", [anima])
    if row is None:
        raise Problem(404, f"anima {anima} is not known")
    return Anima(**row)


async def _select(ctx: Ctx, condition: str, **values: Any) -> list[Anima]:
    statement = f"{_ROW} WHERE {_IN_SCOPE} AND {condition} ORDER BY lower(name), id LIMIT %(limit)s OFFSET %(offset)s"
    return [Anima(**row) for row in await ctx.rows(statement, {"scope": ctx.caller.scope} | values)]
