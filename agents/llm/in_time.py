"""A request leaves in the time of its turn, or not at all.

A process that freezes between its look into the ledger and the request wakes when another worker has long had its turn;
the time-out that would stop it comes a step of the loop too late, when the request is on the wire.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def leave_by(deadline: float | None) -> None:
    """For the requests of this task from now on; `deadline` by the loop's clock, None for none."""
    _deadline.set(deadline)


async def _in_time(request: Any) -> None:
    deadline = _deadline.get()
    if deadline is not None and asyncio.get_running_loop().time() >= deadline:
        raise TimeoutError("the time of this request has passed")


# For the HTTP client of a provider's library: called right before a request is sent.
HOOKS: dict[str, list[Callable[..., Awaitable[None]]]] = {"request": [_in_time]}
