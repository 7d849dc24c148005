"""The ledger in memory: the double of PostgresLedger, held to the same tests. And turns for who is alone."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from agents.llm.ledger import Entry, Recorded


@dataclass
class MemoryLedger:
    rows: dict[str, Entry] = field(default_factory=dict)
    before_put: Callable[[], None] = lambda: None

    async def get(self, call_id: str) -> Recorded | None:
        row = self.rows.get(call_id)
        if row is None or row.reply is None:
            return None
        return Recorded(row.reply, row.input_tokens, row.output_tokens, row.attempts, row.latency_s)

    async def put(self, call_id: str, entry: Entry, outdated: str | None = None) -> str | None:
        self.before_put()
        known = self.rows.get(call_id)
        if known is None or known.id != entry.id:
            self.rows[call_id] = _added(known, entry, outdated) if known else entry
        return self.rows[call_id].reply

    async def spent(self, anima_id: UUID, since: datetime) -> int:
        rows = [row for row in self.rows.values() if row.anima_id == anima_id and row.created_at >= since]
        return sum(row.input_tokens + row.output_tokens for row in rows)


def _added(known: Entry, entry: Entry, outdated: str | None) -> Entry:
    first = known.reply if known.reply != outdated else None
    return replace(
        entry,
        reply=first or entry.reply or known.reply,
        created_at=known.created_at if first else entry.created_at,
        input_tokens=known.input_tokens + entry.input_tokens,
        output_tokens=known.output_tokens + entry.output_tokens,
        attempts=known.attempts + entry.attempts,
        latency_s=known.latency_s + entry.latency_s,
    )


class Alone:
    """No other worker to wait for."""

    @asynccontextmanager
    async def turn(self, call_id: str) -> AsyncIterator[None]:
        yield
