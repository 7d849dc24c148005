"""The same log once more, with nobody breaking anything: rows and packs must be the same."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg
from aiokafka import AIOKafkaProducer
from psycopg.rows import tuple_row

from sinks.database import dsn
from stack.embedded import Stack
from stack.settings import Settings
from streams.kafka import connection, topics_of
from tests.faults.probe import settled
from tests.faults.provider import Provider
from tests.faults.scene import settings_for, started, without
from tests.faults.violation import Violation

# Where rows stand in the topic of memories depends on who was quicker, and a letter says when it was written. All else
# is a function of the log.
TABLES = {
    "animas": (), "events": (), "windows": (), "memories": ("offset",), "memory_events": (), "documents": (),
    "chunks": (), "postings": (), "authors": (), "vectors_1536": ("model",), "packs": (), "accesses": (),
    "dead_letters": ("failed_at",),
}  # fmt: skip
QUERIES = ("Which courier took the parcel?", "storm at the harbour", None)
PACKS = 30
LIMIT_S = 1_800.0
NOW = "2030-01-01T00:00:00Z"


async def differences(disturbed: Settings, provider: Provider, log: Sequence[Any], folder: Path) -> list[Violation]:
    """A second stack gets the log record by record, and the ledger beforehand; then both are compared."""
    stack = Stack(settings_for(folder, provider, 1))
    async with started(stack):
        await _copy_ledger(disturbed, stack.settings)
        async with without(stack, "score"):  # it would add a tick where the copy pauses and a window has long been due
            await _copy_log(log, stack.settings)
        await settled(stack.settings, LIMIT_S)
        found = [one async for one in _rows(disturbed, stack.settings)]
        return found + [one async for one in _packs(disturbed, stack.settings)]


async def _copy_ledger(source: Settings, target: Settings) -> None:
    async with (
        await psycopg.AsyncConnection.connect(dsn(source)) as one,
        await psycopg.AsyncConnection.connect(dsn(target)) as other,
        one.cursor() as reading,
        other.cursor() as writing,
        reading.copy("COPY llm_calls TO STDOUT") as rows,
        writing.copy("COPY llm_calls FROM STDIN") as copied,
    ):
        async for row in rows:
            await copied.write(row)


async def _copy_log(log: Sequence[Any], target: Settings) -> None:
    """With keys, bytes, headers and timestamps; every record at its offset."""
    topic = topics_of(target).events.name
    async with AIOKafkaProducer(
        max_request_size=2_000_000, linger_ms=5, enable_idempotence=True, **connection(target)
    ) as kafka:
        for record in log:
            place = {"partition": record.partition, "timestamp_ms": record.timestamp, "headers": list(record.headers)}
            if record.key is None and record.value is None:
                batch = kafka.create_batch()
                batch.append(key=None, value=None, timestamp=record.timestamp, headers=list(record.headers))
                stored = await (await kafka.send_batch(batch, topic, partition=record.partition))
            else:
                sent = await kafka.send(topic, key=record.key, value=record.value, **place)
                if record.offset % 500 and record is not log[-1]:
                    continue
                stored = await sent
            assert stored.offset == record.offset, f"{record.partition}/{record.offset} became {stored.offset}"
        await kafka.flush()


async def _rows(disturbed: Settings, undisturbed: Settings) -> Any:
    for table, excluded in TABLES.items():
        one, other = await _hashed(disturbed, table, excluded), await _hashed(undisturbed, table, excluded)
        for row, count in ((one - other) + (other - one)).items():
            where = "only the disturbed run" if one[row] > other[row] else "only the undisturbed run"
            yield Violation("wrong", f"{table}: {where} has {count} x {row[:300]}")


async def _hashed(settings: Settings, table: str, excluded: tuple[str, ...]) -> Counter[str]:
    async with await psycopg.AsyncConnection.connect(dsn(settings), row_factory=tuple_row) as connection:
        row = "to_jsonb(t) " + " ".join(f"- '{column}'" for column in excluded)
        cursor = await connection.execute(f"SELECT ({row})::text FROM {table} t".encode())
        return Counter([_short(text) for (text,) in await cursor.fetchall()])


def _short(text: str) -> str:
    return text if len(text) < 400 else f"{text[:200]}… {hashlib.sha256(text.encode()).hexdigest()}"


async def _packs(disturbed: Settings, undisturbed: Settings) -> Any:
    """Byte for byte, of those animas that have most to say."""
    async with await psycopg.AsyncConnection.connect(dsn(disturbed), row_factory=tuple_row) as connection:
        cursor = await connection.execute("SELECT id FROM animas ORDER BY events DESC, id LIMIT %s", [PACKS])
        animas = [str(identity) for (identity,) in await cursor.fetchall()]
    async with httpx.AsyncClient(timeout=60) as http:
        for anima in animas:
            for query in QUERIES:
                request = {"anima_id": anima, "query": query, "max_tokens": 2_000, "now": NOW}
                one, other = [
                    await http.post(f"http://127.0.0.1:{port}/api/packs/compile/preview", json=request)
                    for port in (disturbed.api_port, undisturbed.api_port)
                ]
                if one.status_code != 200 or one.content != other.content:
                    yield Violation("wrong", f"pack of {anima} for {query!r}: {_apart(one.text, other.text)}")


def _apart(one: str, other: str) -> str:
    """Both texts from a little before they part."""
    parted = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    return f"{one[max(0, parted - 100) : parted + 100]!r} or {other[max(0, parted - 100) : parted + 100]!r}"
