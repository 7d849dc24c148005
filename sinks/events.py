"""Events and animas into rows, within the sink's transaction."""

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg
from aiokafka.structs import ConsumerRecord

from sinks.copy import copy_rows, moment, timestamp
from sinks.database import sql
from streams.positions import event_hex
from streams.records import Configure, Event
from streams.redrive import redriven

COLUMNS = (
    "id", "anima_id", "partition", "offset", "recorded_at", "occurred_at", "event_type", "content", "role", "author",
    "session_id", "meta", "source_uri", "dedupe_key", "importance_score", "seq",
)  # fmt: skip
ID, ANIMA, PARTITION, OFFSET, RECORDED_AT = range(5)
Row = tuple[Any, ...]  # in the order of COLUMNS; until it is applied, without its seq


class Change(NamedTuple):
    """A configuration in its place among the events."""

    anima: str
    partition: int
    timestamp_ms: int
    record: Configure


@dataclass
class Arrivals:
    """Events and configurations in log order, ready but for what depends on the state of their animas.

    An anima goes by its id in hex; `keys` are the other way to name it. `returning`: ids of events that may be stored
    already, because a dedupe key or a redrive can bring them back.
    """

    keys: dict[str, bytes] = field(default_factory=dict)
    entries: list[Row | Change] = field(default_factory=list)
    returning: set[str] = field(default_factory=set)
    ids: dict[bytes, tuple[str, bytes]] = field(default_factory=dict)  # by key, in hex and as bytes: made once

    def add(self, anima: UUID, raw: "ConsumerRecord[bytes, bytes]", record: Event | Configure) -> None:
        key = raw.key or b""
        if key not in self.ids:
            self.ids[key] = anima.hex, anima.bytes
            self.keys[anima.hex] = key
        name, packed = self.ids[key]
        if isinstance(record, Configure):
            self.entries.append(Change(name, raw.partition, raw.timestamp, record))
            return
        again = redriven(raw)
        place = again.first if again else raw
        identity = event_hex(packed, place.partition, place.offset, record.dedupe_key)
        if again or record.dedupe_key is not None:
            self.returning.add(identity)
        self.entries.append(_row(identity, name, raw, record))


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


async def known(connection: psycopg.AsyncConnection[Any], arrivals: Arrivals) -> dict[str, AnimaRow]:
    """The rows of those animas that exist."""
    cursor = await connection.execute(sql("animas_load"), [list(arrivals.keys)])
    return {row["id"].hex: AnimaRow(**row, changed=False) for row in await cursor.fetchall()}


async def repeated(connection: psycopg.AsyncConnection[Any], arrivals: Arrivals) -> set[str]:
    """Ids (hex) of arrivals that are stored already."""
    if not arrivals.returning:
        return set()
    cursor = await connection.execute(sql("events_existing"), [",".join(arrivals.returning)])
    return {row["id"].hex for row in await cursor.fetchall()}


def without_strangers(arrivals: Arrivals, animas: Container[str]) -> tuple[Arrivals, set[tuple[int, int]]]:
    """Leaves out events of animas with no row and no configuration before them; and says where these stood. Pure."""
    configured: set[str] = set()
    kept: list[Row | Change] = []
    strange = set()
    for entry in arrivals.entries:
        if isinstance(entry, Change):
            configured.add(entry.anima)
        elif entry[ANIMA] not in animas and entry[ANIMA] not in configured:
            strange.add((entry[PARTITION], entry[OFFSET]))
            continue
        kept.append(entry)
    return Arrivals(arrivals.keys, kept, arrivals.returning), strange


def apply(arrivals: Arrivals, animas: dict[str, AnimaRow], stored: set[str]) -> list[Row]:
    """The rows to append, in log order; updates `animas` (registering new ones) and `stored` in place. Pure."""
    rows = []
    for entry in arrivals.entries:
        if isinstance(entry, Change):
            name, at = entry.anima, moment(entry.timestamp_ms)
            if name not in animas:
                animas[name] = _register(name, arrivals.keys[name], entry.partition, at)
            _configure(animas[name], entry.record, at)
            continue
        name, identity = entry[ANIMA], entry[ID]
        if (anima := animas.get(name)) is None:
            at = datetime.fromisoformat(entry[RECORDED_AT])
            anima = animas[name] = _register(name, arrivals.keys[name], entry[PARTITION], at)
        if identity in arrivals.returning:
            if identity in stored:
                continue
            stored.add(identity)
        rows.append((*entry, anima.events))
        anima.events += 1
        anima.changed = True
    return rows


def _register(name: str, key: bytes, partition: int, at: datetime) -> AnimaRow:
    return AnimaRow(UUID(name), key.decode(), partition, key.decode(), at, at)


def _configure(anima: AnimaRow, change: Configure, at: datetime) -> None:
    given = change.model_fields_set
    if "name" in given and change.name is not None:
        anima.name = change.name
    if "description" in given:
        anima.description = change.description
    if "weights" in given:
        anima.weights = change.weights.model_dump() if change.weights else None
    anima.updated_at, anima.changed = at, True


def _row(identity: str, name: str, raw: "ConsumerRecord[bytes, bytes]", event: Event) -> Row:
    recorded = timestamp(raw.timestamp)
    return (
        identity,
        name,
        raw.partition,
        raw.offset,
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


async def write(connection: psycopg.AsyncConnection[Any], animas: dict[str, AnimaRow], rows: list[Row]) -> None:
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
