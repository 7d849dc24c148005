"""How many requests were answered, how, and how long each took; counted over all processes that serve one port."""

import os
import time

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stack.serve import SHARED

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_duration = Histogram(
    "http_request_duration_seconds",
    "Time to answer a request, by the template of its path.",
    ("method", "route", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=None,
)


def requests() -> CollectorRegistry:
    """A registry with what was counted, by this process or, if they share a directory, by all of them."""
    registry = CollectorRegistry()
    if SHARED in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(_duration)
    return registry


class Measured:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), "500"

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            _duration.labels(method, _route(scope), status).observe(time.perf_counter() - started)


def _route(scope: Scope) -> str:
    """`/api/animas/{anima_id}`; `none` for what is no endpoint, whatever was asked for."""
    route = scope.get("route")
    if route is None:
        return "none"
    # FastAPI leaves out what an included router was prefixed with.
    return ("/api" if scope["path"].startswith("/api/") else "") + str(route.path)
