"""What Prometheus scrapes."""

import asyncio

import psycopg
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from api.context import Context, Ctx
from api.deadline import within
from api.documentation import documented
from api.errors import Unavailable
from api.metrics import Gauges
from api.requests import requests
from sinks.database import sql
from streams.history import LagReport

router = APIRouter(tags=["ops"])
POSTGRES_S = 5.0  # Prometheus gives up after 10, unless it is told otherwise


@router.get("/metrics", summary="For Prometheus", response_class=PlainTextResponse, responses=documented(403))
async def metrics(ctx: Ctx, request: Request) -> PlainTextResponse:
    """Lag, dead letters, requests. What Kafka or Postgres would have to tell is left out while it is away.

    Lag is what `GET /api/lag` says; requests are those of all processes that serve this port.
    """
    ctx.operator()
    lag, letters = await asyncio.gather(_lag(ctx), _letters(ctx))
    registry = requests()
    registry.register(Gauges(lag, letters, {"version": request.app.version}))
    return PlainTextResponse(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _lag(ctx: Context) -> LagReport | None:
    try:
        return await ctx.resources.lag.report()
    except KafkaError:
        return None


async def _letters(ctx: Context) -> dict[str, int] | None:
    try:
        rows = await within(POSTGRES_S, ctx.rows(sql("dead_letters_open")), "Postgres did not answer")
    except (psycopg.OperationalError, Unavailable):
        return None
    return {row["stage"]: row["letters"] for row in rows}
