"""Events and animas into rows, within the sink's transaction."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg

from sinks.copy import copy_rows, moment, timestamp
from sinks.database import sql
from streams.positions import Position, event_hex
from streams.records import Configure, Event

COLUMNS = (
    "id", "anima_id", "seq", "partition", "offset", "recorded_at", "occurred_at", "event_type", "content", "role",
    "author", "session_id", "meta", "source_uri", "dedupe_key", "importance_score",
)  # fmt: skip


class Arrival(NamedTuple):
    """One decoded record of the log, where it stood. `first`: of a redriven record, where it stood at first."""

    anima: UUID
    key: bytes
    partition: int
    offset: int
    timestamp_ms: int
    record: Event | Configure
    first: Position | None = None

    def event_hex(self, event: Event) -> str:
        _, partition, offset = self.first or ("", self.partition, self.offset)
        return event_hex(self.anima.bytes, partition, offset, event.dedupe_key)

    def may_repeat(self, event: Event) -> bool:
        """Whether its id may be known already: only a dedupe key or a redrive brings an id back."""
        return event.dedupe_key is not None or self.first is not None


@dataclass
class AnimaRow:
    """What a batch changes of an anima."""

    id: UUID
    key: str
    partition: int
    name: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    weights: dict[str, Any] | None = None
    events: int = 0
    changed: bool = field(default=True, compare=False)


async def known(connection: psycopg.AsyncConnection[Any], animas: set[UUID]) -> dict[UUID, AnimaRow]:
    """The rows of those animas that exist."""
    cursor = await connection.execute(sql("animas_load"), [list(animas)])
    return {row["id"]: AnimaRow(**row, changed=False) for row in await cursor.fetchall()}


async def repeated(connection: psycopg.AsyncConnection[Any], arrivals: list[Arrival]) -> set[str]:
    """Ids (hex) of arrivals that are stored already."""
    ids = [a.event_hex(a.record) for a in arrivals if isinstance(a.record, Event) and a.may_repeat(a.record)]
    if not ids:
        return set()
    cursor = await connection.execute(sql("events_existing"), [ids])
    return {row["id"].hex for row in await cursor.fetchall()}


def strangers(arrivals: list[Arrival], animas: dict[UUID, AnimaRow]) -> list[Arrival]:
    """Events of animas that have neither a row nor a configuration before them. Pure."""
    registered, strange = set(animas), []
    for arrival in arrivals:
        if isinstance(arrival.record, Configure):
            registered.add(arrival.anima)
        elif arrival.anima not in registered:
            strange.append(arrival)
    return strange


def apply(arrivals: list[Arrival], animas: dict[UUID, AnimaRow], stored: set[str]) -> list[tuple[Any, ...]]:
    """The event rows to append, in log order; updates `animas` (registering new ones) and `stored` in place. Pure."""
    rows = []
    for arrival in arrivals:
        record, anima = arrival.record, animas.get(arrival.anima)
        if anima is None:
            anima = animas[arrival.anima] = _register(arrival)
        if isinstance(record, Configure):
            _configure(anima, record, moment(arrival.timestamp_ms))
            continue
        identity = arrival.event_hex(record)
        if arrival.may_repeat(record):
            if identity in stored:
                continue
            stored.add(identity)
        rows.append(_row(arrival, record, identity, anima.events))
        anima.events += 1
        anima.changed = True
    return rows


def _register(arrival: Arrival) -> AnimaRow:
    key, at = arrival.key.decode(), moment(arrival.timestamp_ms)
    return AnimaRow(arrival.anima, key, arrival.partition, key, at, at)


def _configure(anima: AnimaRow, change: Configure, at: datetime) -> None:
    given = change.model_fields_set
    if "name" in given and change.name is not None:
        anima.name = change.name
    if "description" in given:
        anima.description = change.description
    if "weights" in given:
        anima.weights = change.weights.model_dump() if change.weights else None
    anima.updated_at, anima.changed = at, True


def _row(arrival: Arrival, event: Event, identity: str, seq: int) -> tuple[Any, ...]:
    recorded = timestamp(arrival.timestamp_ms)
    return (
        identity,
        arrival.anima.hex,
        seq,
        arrival.partition,
        arrival.offset,
        recorded,
        event.occurred_at.isoformat() if event.occurred_at else recorded,
        event.event_type,
        event.content,
        event.role,
        event.author,
        event.session_id,
        orjson.dumps(event.meta).decode() if event.meta is not None else None,
        event.source_uri,
        event.dedupe_key,
        event.importance_score,
    )


async def write(
    connection: psycopg.AsyncConnection[Any], animas: dict[UUID, AnimaRow], rows: list[tuple[Any, ...]]
) -> None:
    if rows:
        await copy_rows(connection, "events", COLUMNS, rows)
    changed = [row for row in animas.values() if row.changed]
    if changed:
        await connection.execute(
            sql("animas_upsert"),
            [
                [row.id for row in changed],
                [row.key for row in changed],
                [row.partition for row in changed],
                [row.name for row in changed],
                [row.description for row in changed],
                [orjson.dumps(row.weights).decode() if row.weights else None for row in changed],
                [row.events for row in changed],
                [row.created_at for row in changed],
                [row.updated_at for row in changed],
            ],
        )
