"""A worker of a stage that takes its time before each seek: `python -m tests.faults.slow_seek SECONDS STAGE`.

Between Faust's end of a recovery and its seek anything may be fetched that was asked for before.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from faust.transport.consumer import Consumer

from stack.environment import configured
from stack.stage import run

Seek = Callable[[Any], Awaitable[None]]


def late(seek: Seek, seconds: float) -> Seek:
    @wraps(seek)
    async def delayed(consumer: Any) -> None:
        await asyncio.sleep(seconds)
        await seek(consumer)

    return delayed


def main(seconds: str, stage: str) -> None:
    Consumer.perform_seek = late(Consumer.perform_seek, float(seconds))
    run(stage, configured())


if __name__ == "__main__":
    main(*sys.argv[1:])
