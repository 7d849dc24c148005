"""Is the process alive; can it serve."""

from typing import Literal

import psycopg
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.context import Context, Ctx
from api.deadline import within
from api.errors import RETRY_AFTER_S, Unavailable
from sinks.migrate import DatabaseNewer, pending

router = APIRouter(tags=["health"])
PROBE_S = 2.0


class Alive(BaseModel):
    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    status: Literal["ready", "not ready"]
    missing: list[str]


class Health(BaseModel):
    status: Literal["ok", "degraded"]
    missing: list[str]
    generation: int = Field(description="The derivation of the log that this process serves.")


@router.get("/healthz", summary="Alive")
async def live() -> Alive:
    """The process answers; says nothing of Kafka or Postgres."""
    return Alive()


@router.get("/readyz", summary="Ready", responses={503: {"model": Readiness, "description": "Something is missing."}})
async def ready(ctx: Ctx, response: Response) -> Readiness:
    """200 when Kafka and Postgres are reachable and migrations applied; 503 with what is missing otherwise."""
    missing = await _missing(ctx)
    if not missing:
        return Readiness(status="ready", missing=[])
    response.status_code, response.headers["Retry-After"] = 503, str(RETRY_AFTER_S)
    return Readiness(status="not ready", missing=missing)


@router.get("/health", summary="Report")
async def health(ctx: Ctx) -> Health:
    """The same as a report, always 200; and which stages have stopped because too many records failed."""
    missing = await _missing(ctx)
    if not missing:
        missing = [row["reason"] for row in await ctx.rows("SELECT reason FROM stops ORDER BY stage")]
    return Health(status="degraded" if missing else "ok", missing=missing, generation=ctx.settings.generation)


async def _missing(ctx: Context) -> list[str]:
    missing = [] if await ctx.resources.log.reachable() else ["Kafka cannot be reached"]
    try:
        return missing + await within(PROBE_S + 1, _migrations(ctx), "Postgres did not answer")
    except (psycopg.OperationalError, Unavailable):
        return [*missing, "Postgres cannot be reached"]


async def _migrations(ctx: Context) -> list[str]:
    async with ctx.pool.connection(timeout=PROBE_S) as connection:
        try:
            return [f"migration {name} is not applied" for name in await pending(connection)]
        except DatabaseNewer as error:
            return [str(error)]
