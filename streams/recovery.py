"""Faust's tables and their recovery, without a pause at the start and without a silent end (faust-streaming 0.15.3)."""

import os
from typing import Any

import structlog
from faust.tables import TableManager
from faust.tables.recovery import Recovery, ServiceStopped

log = structlog.get_logger()


class RequiredRecovery(Recovery):  # type: ignore[misc]  # Faust has no types
    """A step that exceeds `broker_request_timeout` ends the task of a recovery as if the worker were stopping. It would
    live on in its group, with partitions that it never reads.
    """

    async def _wait(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super()._wait(*args, **kwargs)
        except ServiceStopped:
            if not self.should_stop:
                log.error("a step of the recovery took too long, stopping un-acknowledged")
                os._exit(70)
            raise


class PromptTables(TableManager):  # type: ignore[misc]  # Faust has no types
    """Faust sleeps for a second before it looks which tables there are. Ours are declared before the worker starts."""

    _recovery: Recovery | None

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = RequiredRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
