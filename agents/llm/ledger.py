"""The ledger of paid calls: what was asked, what it cost, what came back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from agents.llm.errors import RetryLaterError


class Recorded(NamedTuple):
    """`reply` is JSON. Tokens, attempts and latency add up all that was paid for it."""

    reply: str
    input_tokens: int
    output_tokens: int
    attempts: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """What one call cost. `request` (without NUL) and `reply` are JSON. Without a reply, `problem` says why.

    An entry that is put again under its `id`, because nobody knows whether it came to the ledger, counts once.
    """

    id: UUID
    anima_id: UUID
    trigger_id: UUID | None
    prompt: str
    prompt_hash: str
    model: str
    request: str
    reply: str | None
    problem: str | None
    input_tokens: int
    output_tokens: int
    attempts: int
    latency_s: float
    created_at: datetime


class Ledger(Protocol):
    """Every method raises RetryLaterError while the ledger is out of reach."""

    async def get(self, call_id: str) -> Recorded | None: ...

    async def put(self, call_id: str, entry: Entry, outdated: str | None = None) -> str | None:
        """Adds the cost to what is recorded for the call, and keeps the reply if it is the first, but for an `outdated`
        one. Returns what it keeps, durable by then.
        """

    async def spent(self, anima_id: UUID, since: datetime) -> int:
        """Input and output tokens that the anima has paid since then."""


class PostgresLedger:
    """In the table `llm_calls`."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def get(self, call_id: str) -> Recorded | None:
        async with self._cursor() as cursor:
            row = await (await cursor.execute(sql("get_call"), {"call_id": call_id})).fetchone()
        return None if row is None else Recorded(*row)

    async def put(self, call_id: str, entry: Entry, outdated: str | None = None) -> str | None:
        given = {"call_id": call_id, "outdated": outdated, **asdict(entry)}
        async with self._cursor() as cursor:
            row = await (await cursor.execute(sql("put_call"), given)).fetchone()
            if row is None:  # the entry is there already
                row = await (await cursor.execute(sql("get_call"), given)).fetchone()
        return row[0] if row else None

    async def spent(self, anima_id: UUID, since: datetime) -> int:
        async with self._cursor() as cursor:
            asked = {"anima_id": anima_id, "since": since}
            row = await (await cursor.execute(sql("spent_tokens"), asked)).fetchone()
        return int(row[0]) if row else 0

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[psycopg.AsyncCursor[tuple[Any, ...]]]:
        """In a transaction that commits at the end."""
        try:
            async with self._pool.connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
                yield cursor
        except psycopg.OperationalError as error:
            raise RetryLaterError(f"the ledger of model calls is out of reach: {error}") from error


@cache
def sql(name: str) -> bytes:
    return (files("agents.llm") / "sql" / f"{name}.sql").read_bytes()
