"""Animas: whose memory this is."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.context import Context, Ctx, Home
from api.documentation import documented
from api.errors import Invalid, Problem
from api.paging import Limit, Offset
from api.waiting import readable
from streams.kafka import partition_of
from streams.positions import InvalidKey, anima_of
from streams.records import Configure, Label, Text, Weights

router = APIRouter(prefix="/animas", tags=["animas"])
Description = Annotated[Text, Field(max_length=2000)]


class NewAnima(BaseModel):
    name: Label
    key: Label | None = Field(
        None, description="The record key that producers use for it on the topic. Left out: its id."
    )
    description: Description | None = None


class AnimaChange(BaseModel):
    name: Label | None = None
    description: Description | None = Field(None, description="null removes it.")


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


@router.post("", status_code=201, summary="Register an anima", responses=documented(400, 403, 409, 413))
async def create(ctx: Ctx, new: NewAnima) -> Anima:
    """Goes through the log; answers when the anima can be read. Producers may also just publish under a new key."""
    home = _home(ctx, new.key or str(uuid4()))
    if await ctx.row("SELECT FROM animas WHERE id = %s", [home.id]) is not None:
        raise Problem(409, f"an anima with the key {new.key!r} exists: {home.id}")
    await change(ctx, home, Configure(name=new.name, description=new.description))
    return await _read(ctx, home.id)


def _home(ctx: Context, key: str) -> Home:
    try:
        anima = anima_of(key.encode())
    except InvalidKey as error:
        raise Invalid("body.key", str(error)) from None
    if not ctx.caller.may_see(anima):
        raise Problem(403, "this caller may not create animas beyond its own")
    return Home(anima, key.encode(), partition_of(key.encode(), ctx.settings.partitions))


@router.get("", summary="List animas")
async def list_(ctx: Ctx, limit: Limit = 50, offset: Offset = 0) -> list[Anima]:
    """In the order of their names."""
    return await _select(ctx, "true", limit=limit, offset=offset)


@router.get("/search", summary="Find animas by name")
async def search(
    ctx: Ctx,
    name: Annotated[Label, Query(examples=["wre"])],
    limit: Limit = 50,
    offset: Offset = 0,
) -> list[Anima]:
    """Those whose name begins with `name`; case does not count."""
    pattern = name.lower().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
    return await _select(ctx, "lower(name) LIKE %(pattern)s", pattern=pattern, limit=limit, offset=offset)


@router.get("/{anima_id}", summary="One anima", responses=documented(404))
async def get(ctx: Ctx, anima_id: UUID) -> Anima:
    await ctx.home(anima_id)
    return await _read(ctx, anima_id)


@router.patch("/{anima_id}", summary="Change an anima", responses=documented(400, 404, 413))
async def patch(ctx: Ctx, anima_id: UUID, wanted: AnimaChange) -> Anima:
    """Changes what is given; answers when the change can be read."""
    home = await ctx.home(anima_id)
    given = wanted.model_dump(exclude_unset=True)
    if "name" in given and given["name"] is None:
        raise Invalid("body.name", "an anima has a name")
    if given:
        await change(ctx, home, Configure(**given))
    return await _read(ctx, anima_id)


async def change(ctx: Context, home: Home, record: Configure) -> None:
    """Append a configuration to the log and wait until it can be read."""
    (position,) = await ctx.resources.log.append(home.key, home.partition, [record])
    await readable(ctx, position)


async def _read(ctx: Context, anima: UUID) -> Anima:
    row = await ctx.row(f"{_ROW} WHERE id = %s", [anima])
    if row is None:
        raise Problem(404, f"anima {anima} is not known")
    return Anima(**row)


async def _select(ctx: Context, condition: str, **values: Any) -> list[Anima]:
    statement = f"{_ROW} WHERE {_IN_SCOPE} AND {condition} ORDER BY lower(name), id LIMIT %(limit)s OFFSET %(offset)s"
    return [Anima(**row) for row in await ctx.rows(statement, {"scope": ctx.caller.scope} | values)]
