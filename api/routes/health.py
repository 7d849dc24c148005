"""Is the process alive; can it serve."""

from typing import Any

import psycopg
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from api.context import Ctx
from sinks.migrate import pending

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def live() -> dict[str, str]:
    """The process answers; says nothing of Kafka or Postgres."""
    return {"status": "alive"}


@router.get("/readyz")
async def ready(ctx: Ctx) -> JSONResponse:
    """200 when Kafka and Postgres are reachable and migrations applied; 503 with what is missing otherwise."""
    missing = await _missing(ctx)
    return JSONResponse({"status": "not ready" if missing else "ready", "missing": missing}, 503 if missing else 200)


@router.get("/health")
async def health(ctx: Ctx) -> dict[str, Any]:
    """The same as a report: always 200."""
    missing = await _missing(ctx)
    return {"status": "degraded" if missing else "ok", "missing": missing, "generation": ctx.settings.generation}


async def _missing(ctx: Ctx) -> list[str]:
    missing = [] if await ctx.resources.log.reachable() else ["Kafka cannot be reached"]
    try:
        async with ctx.pool.connection(timeout=2) as connection:
            missing += [f"migration {name} is not applied" for name in await pending(connection)]
    except psycopg.OperationalError:
        missing.append("Postgres cannot be reached")
    return missing
