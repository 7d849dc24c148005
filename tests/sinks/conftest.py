"""A pool on a database of one's own, and records to put into it."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pgvector.psycopg import register_vector_async
from pydantic import SecretStr

from sinks import events
from sinks.database import Pool, pool
from sinks.events import Arrivals
from stack.settings import Settings
from streams.positions import anima_of
from streams.records import Configure, Event, Memory, MemoryLink, SynthesisTrigger

AT = datetime(2026, 5, 4, 9, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)
WREN = anima_of(b"wren")


@pytest.fixture
async def rows(database: str) -> AsyncIterator[Pool]:
    settings = Settings(_env_file=None, database=SecretStr(database))
    async with pool(settings, configure=register_vector_async) as opened:
        yield opened


@dataclass
class Arrival:
    """A record of the log as it was decoded."""

    key: bytes | None
    partition: int
    offset: int
    timestamp: int
    record: Event | Configure
    value: bytes | None = None
    topic: str = "elephantasm.events"
    headers: tuple[tuple[str, bytes], ...] = ()


def arrival(offset: int, record: Event | Configure | None = None, key: bytes = b"wren") -> Arrival:
    return Arrival(key, 1, offset, AT_MS + offset, record or Event(event_type="message.in", content=f"said {offset}"))


def arrivals_of(log: Iterable[Arrival]) -> Arrivals:
    arrivals = Arrivals()
    for one in log:
        arrivals.add(anima_of(one.key), one, one.record)
    return arrivals


async def write_events(rows: Pool, log: Iterable[Arrival]) -> None:
    """As the sink does within its transaction."""
    arrivals = arrivals_of(log)
    async with rows.connection() as connection, connection.transaction():
        animas = await events.known(connection, arrivals)
        stored = await events.repeated(connection, arrivals)
        await events.write(connection, animas, events.apply(arrivals, animas, stored))


def trigger(first_offset: int, last_offset: int, anima: UUID = WREN, number: int | None = None) -> SynthesisTrigger:
    return SynthesisTrigger(
        id=UUID(int=number or last_offset + 1),
        anima_id=anima,
        partition=1,
        first_offset=first_offset,
        last_offset=last_offset,
        events=1,
        tokens=1,
        score=10.0,
        threshold=10.0,
        reason="score",
        fired_at=AT,
    )


def memory(
    number: int, revision: int = 1, summary: str = "s", anima: UUID = WREN, seqs: tuple[int, ...] = (0,)
) -> Memory:
    return Memory(
        id=UUID(int=number),
        revision=revision,
        generation=1,
        anima_id=anima,
        trigger=trigger(0, 0, anima),
        first_offset=number,
        last_offset=number,
        summary=summary,
        content="c",
        importance=0.5,
        confidence=0.5,
        started_at=AT,
        ended_at=AT,
        recorded_at=AT + timedelta(hours=revision),
        model="m",
        prompt_name="p",
        prompt_hash="h",
        links=tuple(MemoryLink(event_id=UUID(int=seq), seq=seq, weight=1 / len(seqs)) for seq in seqs),
    )
