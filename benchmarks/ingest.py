"""ingest: events/s from HTTP batches to acknowledged by Kafka, and how long one event takes, with one API process."""

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from statistics import median
from typing import NamedTuple
from uuid import UUID

import orjson

from benchmarks.figure import Figure
from benchmarks.http_client import Answered, post
from benchmarks.rates import percentile
from benchmarks.telemetry import key_of, plain
from benchmarks.world import World, new_log, servers, worker
from stack.client import Client
from stack.readiness import api_ready
from stack.settings import Settings
from stack.waiting import until
from streams.kafka import partition_of, producer, topics_of
from streams.positions import anima_of
from streams.records import Event

ANIMAS = 20
BATCH = 500
CLIENTS = 4
READY_S = 60.0
BatchOf = tuple[int, list[bytes]]  # the anima's number, and the values of its events


class Singles(NamedTuple):
    """POSTs of one event: one client, four clients, and the same values by Kafka's client alone; ms, p50 and p95."""

    one: tuple[float, float]
    four: tuple[float, float]
    kafka: tuple[float, float]


def run(world: World) -> list[Figure]:
    with servers(world) as settings:
        log = new_log(settings, "ingest.")
        with _api(log):
            _register(log)
            return [*_batches(world, log), *_singles(world, log)]


@contextmanager
def _api(settings: Settings) -> Iterator[None]:
    """One process on a socket that it inherits, as the stack's process manager starts it."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", settings.api_port))
        listening.listen(1024)
        with worker(settings, "api", "--fd", "0", stdin=listening.fileno()) as api:
            if not until(lambda: api_ready(settings)[0], READY_S):
                api.check()
                raise RuntimeError(f"the API is not ready: {api_ready(settings)[1]}")
            yield


def _register(settings: Settings) -> None:
    """The sink, which registration waits for, ends before anything is measured."""
    with worker(settings, "stage", "sink"):
        for number in range(ANIMAS):
            name = key_of(number).decode()
            Client(settings).post("/animas", {"name": name, "key": name})


def _batches(world: World, settings: Settings) -> list[Figure]:
    batches = list(_made(world.size(240, 40)))
    events, rates, alone = BATCH * len(batches), [], []
    asyncio.run(_acknowledged(settings, batches[:CLIENTS]))
    post(settings.api_port, "/api/events/batch", _bodies(batches[:CLIENTS]))
    for _ in range(world.runs):
        alone.append(events / asyncio.run(_acknowledged(settings, batches)))
        rates.append(events / post(settings.api_port, "/api/events/batch", _bodies(batches)).took_s)
        world.say(f"{rates[-1]:,.0f} events/s; by Kafka's client alone {alone[-1]:,.0f}")
    return [
        Figure(
            "ingest, HTTP batches", median(rates), "events/s", 10_000,
            baseline=median(alone), baseline_name="aiokafka producer alone",
            note=f"{CLIENTS} clients in another process, batches of {BATCH}, one API process, no stage beside it; "
            f"{events:,} events of 150 bytes per run, median of {world.runs}",
        )
    ]  # fmt: skip


def _singles(world: World, settings: Settings) -> list[Figure]:
    values = [value for _, value in plain(world.size(2_000, 300), 1)]
    bodies = [_single(value) for value in values]
    rounds = [_round(settings, values, bodies) for _ in range(world.runs)]
    one50, one95 = (median(r.one[at] for r in rounds) for at in (0, 1))
    four50, four95 = (median(r.four[at] for r in rounds) for at in (0, 1))
    kafka50, kafka95 = (median(r.kafka[at] for r in rounds) for at in (0, 1))
    world.say(f"one event: p50 {one50:.1f} ms, p95 {one95:.1f}; {CLIENTS} clients {four50:.1f}, {four95:.1f}")
    how = f"{len(values):,} requests per run, each sent when the one before was answered, median of {world.runs}"
    alone = "send_and_wait alone"
    return [
        Figure("ingest, one event, p95", one95, "ms", at_most=10, baseline=kafka95, baseline_name=alone, note=how),
        Figure("ingest, one event, p50", one50, "ms", baseline=kafka50, baseline_name=alone, note=how),
        Figure(f"ingest, one event, {CLIENTS} clients, p95", four95, "ms", note=how),
        Figure(f"ingest, one event, {CLIENTS} clients, p50", four50, "ms", note=how),
    ]


def _round(settings: Settings, values: Sequence[bytes], bodies: Sequence[bytes]) -> Singles:
    post(settings.api_port, "/api/events", [bodies[:50]])
    return Singles(
        _p50_p95(post(settings.api_port, "/api/events", [bodies])),
        _p50_p95(post(settings.api_port, "/api/events", [bodies[client::CLIENTS] for client in range(CLIENTS)])),
        _p50_p95(asyncio.run(_sequential(settings, values))),
    )


def _p50_p95(answered: Answered) -> tuple[float, float]:
    return percentile(answered.each_ms, 50), percentile(answered.each_ms, 95)


def _made(batches: int) -> Iterator[BatchOf]:
    values = (value for _, value in plain(batches * BATCH, 1))
    for number in count():
        if not (batch := list(islice(values, BATCH))):
            return
        yield number % ANIMAS, batch


def _bodies(batches: Sequence[BatchOf]) -> list[list[bytes]]:
    """The requests of each client."""
    bodies = [
        b'{"anima_id":"%b","events":[%b]}' % (str(_anima(number)).encode(), b",".join(values))
        for number, values in batches
    ]
    return [bodies[client::CLIENTS] for client in range(CLIENTS)]


def _single(value: bytes) -> bytes:
    return orjson.dumps({"anima_id": str(_anima(0)), **orjson.loads(value)})


def _anima(number: int) -> UUID:
    return anima_of(key_of(number))


async def _acknowledged(settings: Settings, batches: Sequence[BatchOf]) -> float:
    """Seconds until Kafka has acknowledged the same values from as many tasks, by a producer set up like the API's."""
    topic = topics_of(settings).events.name
    async with producer(settings, max_batch_size=262_144) as kafka:

        async def client(own: Sequence[BatchOf]) -> None:
            for number, values in own:
                key = key_of(number)
                home = partition_of(key, settings.partitions)
                await asyncio.gather(
                    *[await kafka.send(topic, key=key, value=value, partition=home) for value in values]
                )

        own = [[(n, [_stored(v) for v in values]) for n, values in batches[at::CLIENTS]] for at in range(CLIENTS)]
        started = time.perf_counter()
        await asyncio.gather(*map(client, own))
        return time.perf_counter() - started


async def _sequential(settings: Settings, values: Sequence[bytes]) -> Answered:
    topic, key = topics_of(settings).events.name, key_of(0)
    home, took = partition_of(key, settings.partitions), []
    async with producer(settings, max_batch_size=262_144) as kafka:
        begun = time.perf_counter()
        for value in map(_stored, values):
            started = time.perf_counter()
            await kafka.send_and_wait(topic, key=key, value=value, partition=home)
            took.append(1000 * (time.perf_counter() - started))
        return Answered(time.perf_counter() - begun, took)


def _stored(value: bytes) -> bytes:
    """What the API puts on the log for it."""
    return Event.model_validate_json(value).value()
