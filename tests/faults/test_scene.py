"""A stack is stopped by whoever has started it, whenever he is told to end."""

import asyncio
import threading
from typing import Any

import pytest

from tests.faults.scene import started


class Slow:
    """A stack that starts when it may."""

    def __init__(self) -> None:
        self.begun, self.may = threading.Event(), threading.Event()
        self.done: list[str] = []

    def start(self) -> None:
        self.begun.set()
        assert self.may.wait(20)
        self.done.append("started")

    def stop(self) -> None:
        self.done.append("stopped")


async def test_a_stack_that_was_starting_is_stopped() -> None:
    stack: Any = Slow()

    async def run() -> None:
        async with started(stack):
            raise AssertionError("nobody waits for it any more")

    running = asyncio.ensure_future(run())
    await asyncio.to_thread(stack.begun.wait, 20)
    running.cancel()
    await asyncio.wait([running], timeout=0.3)
    assert stack.done == []  # while it starts, it cannot be stopped
    stack.may.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stack.done == ["started", "stopped"]
