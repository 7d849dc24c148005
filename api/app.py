"""The HTTP API: reads Postgres, writes to the log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pgvector.psycopg import register_vector_async

from agents.embeddings.model import embedding_model
from api import errors
from api.context import Resources
from api.documentation import DESCRIPTION, TAGS, documented
from api.limits import BodyLimit
from api.log import Log
from api.routes import routers
from sinks.database import pool
from stack.settings import Settings
from stack.settings import settings as read_settings
from streams.kafka import topics_of
from streams.lag import Lags
from streams.settling import Settling


def create_app(settings: Settings | None = None) -> FastAPI:
    """Does no I/O; connections are made when the server starts."""
    chosen = settings or read_settings()
    app = FastAPI(
        title="Elephantasm Streams",
        version="0.1.0",
        summary="Long-term memory for AI agents: telemetry in, token-budgeted memory packs out.",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        responses=documented(422, 503),
        generate_unique_id_function=_operation,
        lifespan=_lifespan,
    )
    app.state.settings = chosen
    app.add_middleware(BodyLimit, limit=chosen.body_bytes)
    errors.install(app)
    for router in routers:
        app.include_router(router, prefix="/api")
    return app


def _operation(route: APIRoute) -> str:
    """The name of an endpoint in clients that are generated from the specification: `events_post_batch`."""
    return f"{route.tags[0]}_{route.name.strip('_')}"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    rows = pool(settings, size=8)
    reading = pool(settings, size=8, configure=_plans, checked=False)
    await rows.open()
    await reading.open()
    log = Log(settings)
    await log.start()
    settling, lags = Settling(settings), Lags(settings)
    app.state.resources = Resources(
        settings, topics_of(settings), rows, reading, log, settling, lags, embedding_model(settings)
    )
    try:
        yield
    finally:
        await lags.stop()
        await settling.stop()
        await log.stop()
        await reading.close()
        await rows.close()


async def _plans(connection: psycopg.AsyncConnection[Any]) -> None:
    """Packs are read by plans that do not change with what was asked before."""
    await register_vector_async(connection)
    # Each statement reads a range of one index, however large the anima: planned once, never as a scan of all animas.
    plans = ("plan_cache_mode = force_generic_plan", "enable_seqscan = off", "enable_bitmapscan = off")
    for setting in (*plans, "default_transaction_read_only = on"):
        await connection.execute(f"SET {setting}".encode())
    connection.prepare_threshold = 0
