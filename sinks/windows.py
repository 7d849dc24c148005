"""Claims of windows: each of an anima's events in exactly one window of a generation, whatever the triggers say."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from sinks.database import Pool, sql
from streams.records import SynthesisTrigger


@dataclass(frozen=True, slots=True)
class WindowEvent:
    """What a synthesis reads of an event."""

    id: UUID
    seq: int
    occurred_at: datetime
    event_type: str
    author: str | None
    session_id: str | None
    content: str


class Claim(NamedTuple):
    """A window that this trigger may synthesise: its first and last offset, and its events by seq, all included."""

    first_offset: int
    last_offset: int
    first_seq: int
    last_seq: int


class Gap(Exception):
    """Events before a trigger's first are in no window. The message says from where on."""


async def claim(pool: Pool, generation: int, trigger: SynthesisTrigger, *, gap: bool = False) -> Claim | None:
    """The window behind a trigger: everything after the last claim up to the trigger's last offset.

    None if there is nothing left to claim: the trigger repeats events of earlier windows. A trigger that claimed before
    gets its claim again, so that work cut short by a crash is taken up. Raises Gap if the window would begin before the
    trigger does, unless that is known to be right: `gap`.
    """
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(sql("transaction_limits"))
        # One claimer at a time per anima; the row exists, since the sink has passed the window's last event.
        await connection.execute("SELECT FROM animas WHERE id = %s FOR UPDATE", [trigger.anima_id])
        last = await (await connection.execute(sql("windows_last"), [generation, trigger.anima_id])).fetchone()
        if last and last["last_offset"] >= trigger.last_offset:
            return await _again(connection, generation, trigger)
        first_seq = last["last_seq"] + 1 if last else 0
        asked = {"anima": trigger.anima_id, "first_seq": first_seq, "last_offset": trigger.last_offset}
        span = await (await connection.execute(sql("windows_span"), asked)).fetchone()
        if not span:
            return None  # every event of it was a repeat by its dedupe key
        if span["first_offset"] < trigger.first_offset and not gap:
            raise Gap(f"events from {span['first_offset']} on, before {trigger.first_offset}, are in no window")
        window = Claim(span["first_offset"], trigger.last_offset, first_seq, span["last_seq"])
        row = [generation, trigger.anima_id, trigger.partition, *window, trigger.id]
        await connection.execute(sql("windows_insert"), row)
        return window


async def _again(connection: Any, generation: int, trigger: SynthesisTrigger) -> Claim | None:
    row = await (
        await connection.execute(
            sql("windows_of_trigger"), [generation, trigger.anima_id, trigger.last_offset, trigger.id]
        )
    ).fetchone()
    return Claim(**row) if row else None


async def window_events(pool: Pool, anima: UUID, window: Claim) -> list[WindowEvent]:
    """A window's events, in log order."""
    async with pool.connection() as connection, connection.cursor(row_factory=class_row(WindowEvent)) as cursor:
        await cursor.execute(sql("windows_events"), [anima, window.first_seq, window.last_seq])
        return await cursor.fetchall()
