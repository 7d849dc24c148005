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
from api.documentation import DESCRIPTION, TAGS, documented, with_examples
from api.limits import BodyLimit
from api.log import Log
from api.packs.layer_cache import LayerCache
from api.requests import Measured
from api.routes import metrics, packs, routers
from sinks.database import pool
from stack.logging import configure
from stack.settings import Settings
from stack.settings import settings as read_settings
from streams.kafka import topics_of
from streams.lag_watch import LagWatch
from streams.settling import Settling

QUERY_S = 5.0  # for a provider to embed a question


class Documented(FastAPI):
    """Its specification has an example of every body."""

    def openapi(self) -> dict[str, Any]:
        return with_examples(super().openapi())


def create_app(settings: Settings | None = None) -> FastAPI:
    """Does no I/O; connections are made when the server starts."""
    chosen = settings or read_settings()
    app = Documented(
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
    app.add_middleware(Measured)
    errors.install(app)
    for router in routers:
        app.include_router(router, prefix="/api")
    app.include_router(metrics.router)  # where Prometheus looks unless it is told otherwise
    return app


def _operation(route: APIRoute) -> str:
    """The name of an endpoint in clients that are generated from the specification: `events_post_batch`."""
    return f"{route.tags[0]}_{route.name.strip('_')}"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    configure(settings.log_level)
    rows = pool(settings, size=8)
    reading = pool(settings, size=8, configure=_plans, checked=False)
    await rows.open()
    await reading.open()
    log = Log(settings)
    await log.start()
    settling, lag = Settling(settings), LagWatch(settings)
    await lag.start()
    model = embedding_model(settings, min(QUERY_S, settings.llm_timeout_s))
    layers = LayerCache(settings.layer_cache_mb * 1_000_000)
    app.state.resources = Resources(settings, topics_of(settings), rows, reading, log, settling, lag, model, layers)
    try:
        yield
    finally:
        await lag.stop()
        await settling.stop()
        await packs.recorded()
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
