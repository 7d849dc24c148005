"""A limit on how long a request may wait for a server that neither answers nor refuses."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from api.errors import Unavailable

log = structlog.get_logger()
T = TypeVar("T")


async def within(limit_s: float, work: Coroutine[Any, Any, T], what: str) -> T:
    """The result of `work`. Raises Unavailable with `what` after `limit_s` seconds.

    The work is left behind, not cancelled: psycopg would answer a cancellation by waiting for the same server.
    """
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=limit_s)
    if not done:
        task.add_done_callback(_ended_late)
        raise Unavailable(f"{what} within {limit_s:g} s")
    return task.result()


def _ended_late(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("ended after its request", error=repr(error))
