"""freshness: from the produce call to a readable row in Postgres, at 1,000 events/s, with everything running."""

import asyncio
import time
from bisect import bisect_left
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

import psycopg

from benchmarks.figure import Figure
from benchmarks.rates import percentile
from benchmarks.telemetry import plain
from benchmarks.world import World, whole_stack
from sinks.database import dsn
from stack.settings import Settings
from streams.kafka import partition_of, producer, topics_of

RATE = 1_000  # events/s
BURST = 10  # events sent at once, every 10 ms
ANIMAS = 200
WARM_S = 5.0
LIMIT_S = 60.0
POLL_S = 0.002


class Sent(NamedTuple):
    """Seconds on the machine's monotonic clock, which all its processes share."""

    at_s: float
    acknowledged_s: float
    partition: int
    offset: int


class Seen(NamedTuple):
    at_s: float
    partition: int
    next_offset: int


def run(world: World) -> list[Figure]:
    seconds = world.size(30, 5)
    with whole_stack(world) as stack, ProcessPoolExecutor(1, get_context("spawn")) as beside:
        settings, topic = stack.settings, topics_of(stack.settings).events.name
        count = int((WARM_S + seconds) * RATE)
        world.say(f"{RATE:,} events/s for {seconds} s, after {WARM_S:g} s of warm-up")
        watching = beside.submit(watch, dsn(settings), topic, count)
        sent = asyncio.run(_produce(settings, count))
        seen = watching.result()
    counted = [one for one in sent if one.at_s >= sent[0].at_s + WARM_S]
    delays = _delays(counted, seen)
    acknowledged = [1000 * (one.acknowledged_s - one.at_s) for one in counted]
    how = (
        f"{len(delays):,} events of {ANIMAS} animas, every stage and the API running; a row counts as readable when "
        f"another connection, asking every {1000 * POLL_S:.0f} ms, has been told so"
    )
    return [
        _figure("p95", 95, delays, acknowledged, 250.0, how),
        _figure("p50", 50, delays, acknowledged, None, how),
        Figure("freshness, slowest", max(delays), "ms", note=how),
    ]


def _figure(
    name: str, percent: int, delays: list[float], acknowledged: list[float], at_most: float | None, how: str
) -> Figure:
    return Figure(
        f"freshness, {name}", percentile(delays, percent), "ms", at_most=at_most,
        baseline=percentile(acknowledged, percent), baseline_name="acknowledged by Kafka", note=how,
    )  # fmt: skip


async def _produce(settings: Settings, count: int) -> list[Sent]:
    topic, pending = topics_of(settings).events.name, []
    records = list(plain(count, ANIMAS))
    async with producer(settings) as kafka:
        started = time.monotonic()
        for number, (key, value) in enumerate(records):
            if number % BURST == 0:
                await asyncio.sleep(started + number / RATE - time.monotonic())
            partition = partition_of(key, settings.partitions)
            pending.append(_Pending(time.monotonic()))
            delivery = await kafka.send(topic, key=key, value=value, partition=partition)
            delivery.add_done_callback(pending[-1].done)
        await kafka.flush()
        await asyncio.sleep(0)
    return [one.sent() for one in pending]


class _Pending:
    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.acknowledged: Sent | None = None

    def done(self, delivery: "asyncio.Future[Any]") -> None:
        stored = delivery.result()
        self.acknowledged = Sent(self.at_s, time.monotonic(), stored.partition, stored.offset)

    def sent(self) -> Sent:
        assert self.acknowledged is not None
        return self.acknowledged


def watch(database: str, topic: str, count: int) -> list[Seen]:
    """Until the sink has written `count` records of `topic`, which was empty: when each partition had come how far."""
    found: list[Seen] = []
    reached: dict[int, int] = {}
    deadline = time.monotonic() + LIMIT_S + count / RATE
    with psycopg.connect(database, autocommit=True) as connection:
        while sum(reached.values()) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{sum(reached.values()):,} of {count:,} events are rows; the sink is behind")
            rows = connection.execute(
                "SELECT partition, next_offset FROM progress WHERE stage = 'sink' AND topic = %s", [topic]
            ).fetchall()
            now = time.monotonic()
            found += [Seen(now, *row) for row in rows if row[1] > reached.get(row[0], 0)]
            reached |= dict(rows)
            time.sleep(POLL_S)
    return found


def _delays(sent: list[Sent], seen: list[Seen]) -> list[float]:
    """Milliseconds from the call to the first look that showed the row."""
    by_partition: dict[int, list[Seen]] = {}
    for one in seen:
        by_partition.setdefault(one.partition, []).append(one)
    delays = []
    for event in sent:
        looks = by_partition[event.partition]
        first = bisect_left(looks, event.offset + 1, key=lambda look: look.next_offset)
        delays.append(1000 * (looks[first].at_s - event.at_s))
    return delays
