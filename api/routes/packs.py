"""Packs: what an anima should remember, for the next prompt."""

import asyncio
import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from agents.embeddings.model import EmbeddingModel
from api.context import POSTGRES_S, Ctx, Home
from api.deadline import within
from api.documentation import documented
from api.errors import Problem
from api.packs.compile import Compiled, View, compile_pack
from api.packs.gather import Asked, gather
from api.packs.request import Pack, PackRequest, PresetName
from api.paging import Limit, Offset
from api.waiting import caught_up, settled
from sinks.database import sql
from streams.records import Recall, RecalledItem

router = APIRouter(tags=["packs"], responses=documented(400, 404, 413))
PACK_ID = re.compile("[0-9a-f]{64}")
recording: set[asyncio.Task[None]] = set()


class ServedPack(BaseModel):
    """A pack as it was served, from its recall in the log."""

    pack_id: str
    anima_id: UUID
    generation: int
    recorded_at: datetime
    query: str | None
    preset: str
    max_tokens: int
    token_count: int
    content: str
    items: list[RecalledItem]
    position: str


@router.post("/packs/compile", response_model=Pack)
async def compile_(ctx: Ctx, request: PackRequest) -> Response:
    """Compile a pack and record in the log that it was served, which reinforces the memories in it."""
    return await _serve(ctx, request)


@router.post("/packs/compile/preview", response_model=Pack)
async def preview(ctx: Ctx, request: PackRequest) -> Response:
    """The same pack; nothing is recorded."""
    home = await ctx.home(request.anima_id)
    return _answer(await _compile(ctx, home, request))


@router.post("/packs/compile/{preset}", response_model=Pack)
async def compile_preset(ctx: Ctx, preset: PresetName, request: PackRequest) -> Response:
    """Compile under the preset named in the path."""
    return await _serve(ctx, request.model_copy(update={"preset": preset}))


async def _serve(ctx: Ctx, request: PackRequest) -> Response:
    home = await ctx.home(request.anima_id)
    pack = await _compile(ctx, home, request)
    # The reader does not wait for the log: should the recall be lost, a memory is reinforced once less.
    task = asyncio.ensure_future(_record(ctx, home, pack))
    recording.add(task)
    task.add_done_callback(recording.discard)
    return _answer(pack)


async def recorded() -> None:
    """Until every pack that was answered has its recall in the log, or cannot have it."""
    if recording:
        await asyncio.wait(recording)


async def _compile(ctx: Ctx, home: Home, request: PackRequest) -> dict[str, Any]:
    await (settled if request.settled else caught_up)(ctx, request.after)
    now = request.now or request.as_of or datetime.now(UTC)
    asked = Asked(
        request, request.resolved(), now, ctx.settings.generation, ctx.resources.topics, await ctx.model_number()
    )
    preset = asked.preset
    view = await within(POSTGRES_S, _view(ctx, asked), "Postgres did not answer")
    compiled = compile_pack(view, preset.max_tokens, now, session=preset.session, long_term=preset.long_term)
    return _pack(asked, ctx.resources.model, compiled)


async def _view(ctx: Ctx, asked: Asked) -> View:
    async with ctx.resources.reading.connection() as connection:
        return await gather(connection, ctx.resources.model, ctx.resources.layers, asked)


def _pack(asked: Asked, model: EmbeddingModel, compiled: Compiled) -> dict[str, Any]:
    request = asked.request
    inputs = {
        "anima_id": request.anima_id, "generation": asked.generation, "query": request.query, "preset": request.preset,
        "max_tokens": asked.preset.max_tokens, "now": asked.now, "as_of": request.as_of,
    }  # fmt: skip
    chosen = asked.preset
    limits = [chosen.session, chosen.long_term, chosen.pending, request.min_similarity, model.name]
    identity = hashlib.sha256(orjson.dumps([inputs, limits, compiled.content])).hexdigest()
    items = [
        {"kind": line.kind, "id": line.id, "text": line.text, "reason": line.reason, "scores": line.scores,
         "lineage": line.lineage}
        for line in compiled.lines
    ]  # fmt: skip
    return {
        "pack_id": identity,
        "content": compiled.content,
        "token_count": compiled.token_count,
        "items": items,
    } | inputs


def _answer(pack: dict[str, Any]) -> Response:
    return Response(orjson.dumps(pack), media_type="application/json")


async def _record(ctx: Ctx, home: Home, pack: dict[str, Any]) -> None:
    recall = Recall(
        pack_id=pack["pack_id"], generation=pack["generation"], query=pack["query"], preset=pack["preset"],
        max_tokens=pack["max_tokens"], token_count=pack["token_count"], content=pack["content"],
        items=tuple(RecalledItem(kind=item["kind"], id=item["id"]) for item in pack["items"]),
    )  # fmt: skip
    await ctx.resources.log.append_if_reachable(home.key, home.partition, recall)


@router.get("/animas/{anima_id}/memory-packs")
async def list_(ctx: Ctx, anima_id: UUID, limit: Limit = 50, offset: Offset = 0) -> list[ServedPack]:
    """Packs served, the latest first."""
    await ctx.home(anima_id)
    values = {"anima": anima_id, "query": None, "preset": None, "limit": limit, "offset": offset}
    return [_served(ctx, row) for row in await ctx.rows(sql("packs_list"), values)]


@router.get("/animas/{anima_id}/memory-packs/latest")
async def latest(
    ctx: Ctx,
    anima_id: UUID,
    query: Annotated[str | None, Query(max_length=4000)] = None,
    preset: PresetName | None = None,
) -> ServedPack:
    """The last pack served, of this query and preset if given: never one compiled for another query."""
    await ctx.home(anima_id)
    values = {"anima": anima_id, "query": query, "preset": preset, "limit": 1, "offset": 0}
    rows = await ctx.rows(sql("packs_list"), values)
    if not rows:
        raise Problem(404, "no such pack was served; POST /api/packs/compile makes one")
    return _served(ctx, rows[0])


@router.get("/memory-packs/{pack_id}")
async def get(ctx: Ctx, pack_id: str) -> ServedPack:
    row = (
        await ctx.row(sql("pack_get"), {"id": pack_id, "scope": ctx.caller.scope})
        if PACK_ID.fullmatch(pack_id)
        else None
    )
    if row is None:
        raise Problem(404, f"pack {pack_id[:80]!r} was never served")
    return _served(ctx, row)


def _served(ctx: Ctx, row: dict[str, Any]) -> ServedPack:
    position = f"{ctx.resources.topics.events.name}/{row.pop('partition')}/{row.pop('offset')}"
    return ServedPack(**row, position=position)
