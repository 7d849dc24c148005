"""Watching the lag of every stage, whether or not anybody asks: a verdict needs to have looked for a while."""

import asyncio

import structlog
from aiokafka.errors import KafkaError

from stack.settings import Settings
from streams.history import History, LagReport
from streams.lag import Lags

log = structlog.get_logger()
LOOKS = 20  # in a window


class LagWatch:
    """One per process that is asked for lag. Looks LOOKS times in a window, and whenever it is asked."""

    def __init__(self, settings: Settings) -> None:
        self.lags, self.history = Lags(settings), History(settings.lag_window_s)
        self.every_s = settings.lag_window_s / LOOKS
        self.looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.looking = asyncio.ensure_future(self._look())

    async def stop(self) -> None:
        if self.looking is not None:
            self.looking.cancel()
            await asyncio.wait({self.looking})
        await self.lags.stop()

    async def report(self) -> LagReport:
        """As it is now. Raises KafkaError."""
        if self.looking is not None and self.looking.done():
            self.looking.result()  # it does not end but by an error of ours
        return self.history.report(await self.lags.read())

    async def _look(self) -> None:
        while True:
            try:
                self.history.add(await self.lags.read())
            except KafkaError as error:
                log.warning("lag not read", reason=repr(error))
            await asyncio.sleep(self.every_s)
