"""Slow work on a stream of batches: many keys at once, each key in order, a batch acknowledged when all of it is done.

Faust's own `concurrency` commits past events in flight and loses them in a crash
(docs/decisions/0003-lossless-consumer.md).
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

log = structlog.get_logger()


GRACE_S = 3.0  # from the last reply to the delivery of what is made of it


async def _nothing() -> None:
    pass


class OrderedPool:
    """`work(record)` is done when its output is delivered. At most `calls` run at once, of `unfinished` that have come.

    When partitions are revoked, what has not begun is void and nothing of it is acknowledged; what runs goes on, and
    its outputs are recognised by their derived ids. An exception in `work` ends the process un-acknowledged, after
    `parting`: what has been paid for and must not be lost with the process.
    """

    def __init__(
        self,
        work: Callable[[Any], Awaitable[None]],
        calls: int,
        unfinished: int = 1_000,
        *,
        parting: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self.work, self.parting = work, parting
        self.calls, self.room = asyncio.Semaphore(calls), asyncio.Semaphore(unfinished)
        self.assignment = 0
        self.stopping = False
        self.begun: set[asyncio.Task[bool]] = set()
        self.last: dict[bytes, asyncio.Task[bool]] = {}
        self.running: set[asyncio.Task[None]] = set()

    async def run(self, stream: Any) -> None:
        async for batch in stream.noack().events():
            assignment = self.assignment  # as the batch came: partitions may move while it waits for room
            tasks = []
            for record in batch.value:
                await self.room.acquire()
                tasks.append(self._start(record, assignment))
            finish = asyncio.ensure_future(self._finish(batch, tasks, assignment))
            self.running.add(finish)
            finish.add_done_callback(self._finished)

    async def aside(self, seconds: float) -> None:
        """For work that has to wait alone: its place is another's meanwhile. Only a pool that stops cancels it."""
        self.calls.release()
        await asyncio.sleep(seconds)
        await self.calls.acquire()

    async def revoked(self, *_: Any, **__: Any) -> None:
        """Connect to app.on_partitions_revoked."""
        self.assignment += 1
        self.last.clear()

    async def stop(self) -> None:
        """Nothing more begins. What cannot end within `GRACE_S` of `parting` is cancelled, un-acknowledged."""
        self.stopping = True
        await self.parting()
        if self.begun:
            await asyncio.wait(self.begun, timeout=GRACE_S)
        for task in self.begun:
            task.cancel()
        if self.running:
            await asyncio.wait(self.running)

    def _start(self, record: Any, assignment: int) -> "asyncio.Task[bool]":
        key = record.key
        task = asyncio.ensure_future(self._after(self.last.get(key), record, assignment))
        self.last[key] = task
        self.begun.add(task)
        task.add_done_callback(self.begun.discard)
        task.add_done_callback(lambda _: self.room.release())
        task.add_done_callback(lambda done: self.last.pop(key) if self.last.get(key) is done else None)
        return task

    async def _after(self, previous: "asyncio.Task[bool] | None", record: Any, assignment: int) -> bool:
        if previous is not None:
            await asyncio.wait([previous])
            if previous.cancelled() or previous.exception() is not None:
                return False  # the process is about to end; nothing may overtake what failed
        async with self.calls:
            if self.stopping or assignment != self.assignment:
                return False
            try:
                await self.work(record)
            except Exception:
                self.stopping = True
                raise
        return True

    async def _finish(self, batch: Any, tasks: "list[asyncio.Task[bool]]", assignment: int) -> None:
        if all(await asyncio.gather(*tasks)) and assignment == self.assignment:
            batch.ack()

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self.running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work failed, stopping un-acknowledged", error=repr(error), exc_info=error)
            self.running.add(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        try:
            await self.parting()
        finally:
            os._exit(70)
