"""What a request can fail with, in one place: `{"detail": …}` with the status that says what to do next.

    404 not there, or not the caller's · 409 exists already · 413 too large · 422 a field is wrong (which, and why)
    503 Kafka or Postgres away, or the view has not caught up: nothing was decided, come back after Retry-After seconds
"""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import psycopg_pool
import structlog
from aiokafka.errors import KafkaError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from sinks.progress import NotYet
from streams.settling import NotSettled

log = structlog.get_logger()
RETRY_AFTER_S = 1


class Problem(Exception):
    """A request that cannot be met. `detail` says why and the way out."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Unavailable(Problem):
    def __init__(self, what: str) -> None:
        super().__init__(503, what)


def install(app: FastAPI) -> None:
    for error, answer in _ANSWERS.items():
        app.add_exception_handler(error, answer)  # type: ignore[arg-type]


async def _problem(_: Request, error: Problem) -> JSONResponse:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if error.status == 503 else None
    return JSONResponse({"detail": error.detail}, error.status, headers)


async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    faults = [
        {"field": ".".join(map(str, fault["loc"])), "reason": _encodable(fault["msg"].removeprefix("Value error, "))}
        for fault in error.errors()[:20]
    ]
    return JSONResponse({"detail": faults}, 422)


async def _postgres_away(request: Request, error: Exception) -> JSONResponse:
    log.warning("postgres away", path=request.url.path, error=repr(error))
    return await _problem(request, Unavailable("Postgres cannot be reached; nothing was changed"))


async def _kafka_away(request: Request, error: KafkaError) -> JSONResponse:
    log.warning("kafka away", path=request.url.path, error=repr(error))
    return await _problem(request, Unavailable("Kafka did not acknowledge in time; repeat with the same dedupe_key"))


async def _not_yet(request: Request, error: NotYet | NotSettled) -> JSONResponse:
    return await _problem(request, Unavailable(str(error)))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


_ANSWERS: dict[type[Exception], Callable[..., Awaitable[JSONResponse]]] = {
    Problem: _problem,
    Unavailable: _problem,
    RequestValidationError: _invalid,
    psycopg.OperationalError: _postgres_away,
    psycopg_pool.PoolTimeout: _postgres_away,
    KafkaError: _kafka_away,
    NotYet: _not_yet,
    NotSettled: _not_yet,
}
