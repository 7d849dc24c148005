"""What a request can fail with, in one place: `{"detail": …}` with the status that says what to do next.

- 400 the body cannot be read
- 403 not for this caller
- 404 not there, or not the caller's
- 409 exists already
- 413 too large
- 422 a field is wrong (which, and why)
- 503 Kafka, Postgres or the embedding provider away, or the view has not caught up: come back after Retry-After seconds
"""

from collections.abc import Awaitable, Callable
from math import ceil
from typing import Any

import psycopg
import psycopg_pool
import structlog
from aiokafka.errors import KafkaError
from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from agents.llm.errors import ModelError, RetryLaterError
from sinks.progress import NotYet
from streams.settling import NotSettled

log = structlog.get_logger()
RETRY_AFTER_S = 1
MOST_FAULTS = 20


class Problem(Exception):
    """A request that cannot be met. `detail` says why and the way out."""

    def __init__(self, status: int, detail: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


class Unavailable(Problem):
    def __init__(self, what: str, retry_after_s: float | None = None) -> None:
        super().__init__(503, what, {"Retry-After": str(ceil(retry_after_s or RETRY_AFTER_S))})


class Invalid(Problem):
    """One field is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(422, [_fault(field, reason)])


def install(app: FastAPI) -> None:
    for error, answer in _ANSWERS.items():
        app.add_exception_handler(error, answer)


async def _problem(_: Request, error: Problem) -> JSONResponse:
    return JSONResponse({"detail": error.detail}, error.status, error.headers)


async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    return JSONResponse({"detail": [_explained(fault) for fault in error.errors()[:MOST_FAULTS]]}, 422)


def _explained(fault: dict[str, Any]) -> dict[str, str]:
    if fault["type"] == "json_invalid":
        return _fault("body", f"not JSON: {fault['ctx']['error']} at character {fault['loc'][-1]}")
    return _fault(".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, "))


def _fault(field: str, reason: str) -> dict[str, str]:
    """Both may quote what was sent, which need not be encodable."""
    return {"field": _encodable(field[:300]), "reason": _encodable(reason[:1000])}


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


async def _http(request: Request, error: HTTPException) -> Response:
    """FastAPI keeps to itself why a body could not be read."""
    if error.status_code == 400 and error.__cause__ is not None:
        detail = _encodable(f"the body cannot be read: {error.__cause__}"[:300])
        return JSONResponse({"detail": detail}, 400)
    return await http_exception_handler(request, error)


async def _postgres_away(request: Request, error: Exception) -> JSONResponse:
    log.warning("postgres away", path=request.url.path, error=repr(error))
    return await _problem(request, Unavailable("Postgres cannot be reached; nothing was changed"))


async def _kafka_away(request: Request, error: KafkaError) -> JSONResponse:
    log.warning("kafka away", path=request.url.path, error=repr(error))
    return await _problem(request, Unavailable("Kafka cannot be reached, or did not answer in time"))


async def _embedding_away(request: Request, error: ModelError) -> JSONResponse:
    """What the provider says is for the operator: it may speak of keys."""
    name = request.app.state.resources.model.name
    log.warning("embedding provider away", path=request.url.path, model=name, error=str(error))
    reason = f"the embedding provider cannot embed the query now ({name})"
    return await _problem(
        request, Unavailable(reason, error.retry_after_s if isinstance(error, RetryLaterError) else None)
    )


async def _not_yet(request: Request, error: NotYet | NotSettled) -> JSONResponse:
    return await _problem(request, Unavailable(str(error)))


_ANSWERS: dict[type[Exception], Callable[..., Awaitable[Response]]] = {
    Problem: _problem,
    Unavailable: _problem,
    Invalid: _problem,
    RequestValidationError: _invalid,
    HTTPException: _http,
    psycopg.OperationalError: _postgres_away,
    psycopg_pool.PoolTimeout: _postgres_away,
    KafkaError: _kafka_away,
    ModelError: _embedding_away,
    NotYet: _not_yet,
    NotSettled: _not_yet,
}
