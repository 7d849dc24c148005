"""One worker at a time asks one thing, across processes: what two of them would pay for, one pays for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol

import psycopg
import structlog

from agents.llm.ledger import sql

POLL_S = 0.1
CONNECT_S = 5

log = structlog.get_logger()


class Turns(Protocol):
    def turn(self, call_id: str) -> AbstractAsyncContextManager[None]:
        """Waits until no other worker has the turn of this call, and has it for the block. Raises nothing of its own:
        patience is bounded, and whoever has lost it goes on without.
        """


class PostgresTurns:
    """Advisory locks of one session for the whole process. They end with it, whatever ends it.

    `patience_s` is for a worker that is frozen, or whose machine is gone, and whose session lives on: what was on its
    way to it cannot be awaited for ever. In one process the caller sees to it that a call is asked for once.
    """

    def __init__(self, dsn: str, patience_s: float) -> None:
        self._dsn, self._patience_s = dsn, patience_s
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._connecting = asyncio.Lock()

    @asynccontextmanager
    async def turn(self, call_id: str) -> AsyncIterator[None]:
        key = {"key": int.from_bytes(bytes.fromhex(call_id)[:8], signed=True)}
        session = await self._wait(key)
        try:
            yield
        finally:
            if session is not None:
                # An error says that the session has ended, and the turn with it.
                with suppress(psycopg.Error):
                    await session.execute(sql("end_turn"), key)

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _wait(self, key: dict[str, int]) -> psycopg.AsyncConnection[Any] | None:
        """The session that now has the turn; None if patience has ended."""
        problem = "another worker has it"
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    try:
                        session = await self._session()
                        row = await (await session.execute(sql("take_turn"), key)).fetchone()
                        if row and row[0]:
                            return session
                    except psycopg.OperationalError as error:
                        problem = str(error)
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            log.warning("asking a model out of turn", waited_s=self._patience_s, reason=problem)
            return None

    async def _session(self) -> psycopg.AsyncConnection[Any]:
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._connection = await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, application_name="elephantasm", connect_timeout=CONNECT_S
                )
            return self._connection
