"""sink: rows/s of one worker, from the log to committed rows, beside a bare COPY of the very same rows."""

import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import psycopg
from aiokafka.structs import TopicPartition
from psycopg import sql

from benchmarks.figure import Figure
from benchmarks.rates import Rates, rates
from benchmarks.telemetry import fill, records_of, sessions
from benchmarks.world import World, new_database, new_log, servers, watch_progress, worker
from sinks import events
from sinks.database import dsn
from stack.settings import Settings
from streams.decode import decode
from streams.kafka import topics_of
from streams.records import Event

ANIMAS = 200
BATCH = 10_000  # rows per transaction: as many as the sink takes with one poll
COPY = sql.SQL("COPY events ({}) FROM STDIN").format(sql.SQL(", ").join(map(sql.Identifier, events.COLUMNS)))
Row = tuple[Any, ...]


class Round(NamedTuple):
    """One run of each, one after the other: rows/s."""

    sink: Rates
    copied: float
    copied_text: float


def run(world: World) -> list[Figure]:
    with servers(world) as settings:
        log = new_log(settings, "sink.")
        total = asyncio.run(fill(log, sessions(world.size(200_000, 20_000), ANIMAS)))
        world.say(f"{total:,} events are on the log")
        rows = asyncio.run(_rows(log))
        assert len(rows) == total
        rounds = [_round(world, log, rows, number) for number in range(world.runs)]
    copied, text = (median(column) for column in ([r.copied for r in rounds], [r.copied_text for r in rounds]))
    return [
        Figure(
            "sink", median(one.sink.steady for one in rounds), "rows/s", 20_000,
            baseline=copied, baseline_name="bare COPY", times_baseline=0.6,
            note=f"one worker process, {total:,} events of {ANIMAS} animas, a quarter with a dedupe key; the same "
            f"rows by one connection, psycopg's write_row, {BATCH:,} per transaction, same indexes; "
            f"median of {world.runs}; {median(one.sink.cpu_us for one in rounds):.0f} µs of the worker's CPU per row",
        ),
        Figure(
            "COPY of rows formatted before", text, "rows/s", baseline=copied, baseline_name="bare COPY",
            note="what Postgres takes: no Python per row",
        ),
    ]  # fmt: skip


def _round(world: World, log: Settings, rows: list[Row], number: int) -> Round:
    by_rows, by_text = new_database(log, f"by_rows_{number}"), new_database(log, f"by_text_{number}")
    copied = _copy(by_rows, rows, _write_rows)
    copied_text = _copy(by_text, _formatted(by_rows), _write_text)
    found = _sink(new_database(log, f"sink_{number}"), len(rows))
    world.say(f"{found.said('rows')}; bare COPY {copied:,.0f}, of formatted text {copied_text:,.0f}")
    return Round(found, copied, copied_text)


def _sink(settings: Settings, total: int) -> Rates:
    with worker(settings, "stage", "sink") as stage:
        samples = watch_progress(settings, "sink", topics_of(settings).events.name, total, stage)
    with psycopg.connect(dsn(settings)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (total,)
    return rates(samples, stage.started_s)


async def _rows(settings: Settings) -> list[Row]:
    """What the sink makes of the log, partition by partition."""
    arrivals = events.Arrivals()
    for partition in range(settings.partitions):
        async for raw in records_of(settings, TopicPartition(topics_of(settings).events.name, partition)):
            anima, event = decode(raw, settings.partitions)
            assert anima is not None
            assert isinstance(event, Event)
            arrivals.add(anima, raw, event)
    return events.apply(arrivals, {}, set())


def _copy(settings: Settings, rows: list[Any], write: Callable[[psycopg.Copy, list[Any]], None]) -> float:
    """Rows/s into a fresh table with its indexes."""
    with psycopg.connect(dsn(settings), autocommit=True) as connection:
        started = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            with connection.transaction(), connection.cursor() as cursor, cursor.copy(COPY) as copy:
                write(copy, rows[start : start + BATCH])
        return len(rows) / (time.perf_counter() - started)


def _write_rows(copy: psycopg.Copy, rows: list[Any]) -> None:
    for row in rows:
        copy.write_row(row)


def _write_text(copy: psycopg.Copy, lines: list[Any]) -> None:
    copy.write(b"".join(lines))


def _formatted(settings: Settings) -> list[bytes]:
    """The lines of the table in COPY's text format, in the order in which they were written."""
    out = sql.SQL("COPY events ({}) TO STDOUT").format(sql.SQL(", ").join(map(sql.Identifier, events.COLUMNS)))
    with psycopg.connect(dsn(settings)) as connection, connection.cursor() as cursor, cursor.copy(out) as copy:
        return [bytes(line) for line in copy]
