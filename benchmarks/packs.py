"""packs: latency and rate of packs over HTTP among a million events, and recall of the vector search.

As the client sees it: warm, every question a new one, its embedding included, all of the anima ranked. The baseline of
the latency is the exact vector search alone, as the statement that everyone would write, on the same rows.
"""

import asyncio
import http.client
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from uuid import UUID

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector, register_vector_async
from psycopg.rows import dict_row

from api.packs.layer_cache import Run
from benchmarks.corpus import SEED, SIZES, Texts, anima, seed
from benchmarks.figure import Figure
from benchmarks.world import World, derived, servers, worker
from sinks import retrieval
from sinks.database import dsn
from sinks.retrieval import LayerKey
from stack.readiness import api_ready
from stack.settings import Settings
from stack.waiting import until

LATENCY_MS = {1_000: 15.0, 10_000: 25.0, 100_000: 75.0}
RATE = {1_000: 250.0, 10_000: 150.0, 100_000: 30.0}
REQUESTS = {1_000: 600, 10_000: 400, 100_000: 200}
CLIENTS, MOST_RATE = 8, 100  # packs per second that one client could ask for
NOW = "2026-06-01T00:00:00Z"
TOP = 40
NEAREST = (
    "SELECT seq FROM vectors_384 WHERE anima_id = %s AND layer = 0 AND generation = 0 AND model = 1 "
    "ORDER BY v <#> %s LIMIT 40"
)


def run(world: World) -> list[Figure]:
    with servers(world) as settings:
        world.say("seeding")
        asyncio.run(seed(dsn(settings), world.say, _sizes(world)))
        figures = _recall(settings, world)
        with _api(derived(settings, api_processes=2)):
            for size in LATENCY_MS:
                figures += _figures(settings, world, size)
        return figures


def _sizes(world: World) -> dict[int, int]:
    return {1_000: 50, 10_000: 2, 100_000: 1} if world.quick else SIZES


@contextmanager
def _api(settings: Settings) -> Iterator[None]:
    with worker(settings, "api"):
        if not until(lambda: api_ready(settings)[0], 60):
            raise RuntimeError("the API did not become ready")
        yield


def _figures(settings: Settings, world: World, size: int) -> list[Figure]:
    world.say(f"packs of animas with {size:,} events")
    first = _warm(settings.api_port, world, size)
    took = _latency(settings.api_port, world, size)
    p50, p95 = took[len(took) // 2], took[int(0.95 * len(took))]
    alone = _nearest_alone(settings, world, size)
    name = f"pack, anima of {size:,} events"
    rate = _rate(settings.api_port, world, size)
    return [
        Figure(f"{name}, the first of it that a process compiles, p50", first, "ms"),
        Figure(f"{name}, p50", p50, "ms"),
        Figure(f"{name}, p95", p95, "ms", at_most=LATENCY_MS[size], baseline=alone,
               baseline_name="exact vector search alone, p95"),
        Figure(f"{name}, {CLIENTS} clients", rate, "packs/s", at_least=RATE[size], baseline=1000 / p50,
               baseline_name="one client"),
    ]  # fmt: skip


def requests(animas: list[UUID], count: int, seed: int) -> list[str]:
    """Bodies: every one another question, of one anima after the other."""
    bodies = []
    for number, question in enumerate(Texts(seed).make(count)):
        body = {"anima_id": str(animas[number % len(animas)]), "query": " ".join(question.split()[:8]), "now": NOW}
        bodies.append(json.dumps(body | {"max_tokens": 2000}))
    return bodies


def ask(port: int, bodies: Iterable[str]) -> list[float]:
    """Milliseconds of each request, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took = []
    for content in bodies:
        started = time.perf_counter()
        connection.request("POST", "/api/packs/compile/preview", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        payload = answer.read()
        took.append(1e3 * (time.perf_counter() - started))
        if answer.status != 200 or b'"items":[{' not in payload:
            raise RuntimeError(f"{answer.status}: {payload[:500]!r}")
    return took


def _animas(world: World, size: int) -> list[UUID]:
    return [anima(size, number) for number in range(min(50, _sizes(world)[size]))]


def _warm(port: int, world: World, size: int) -> float:
    """Milliseconds, p50, of a pack whose anima nobody has asked about; then every process of the API knows them all."""
    animas = _animas(world, size)
    first = sorted(ask(port, requests(animas, len(animas), SEED + 1)))
    for number in range(2 * CLIENTS):  # each a connection, taken by one process or the other
        ask(port, requests(animas, max(20, len(animas)), SEED + 6 + number))
    return first[len(first) // 2]


def _latency(port: int, world: World, size: int) -> list[float]:
    """Sorted milliseconds of one client."""
    return sorted(ask(port, requests(_animas(world, size), world.size(REQUESTS[size], 40), SEED + 2)))


def _rate(port: int, world: World, size: int) -> float:
    """Packs per second of eight clients, each a process with a connection of its own, while all of them ask."""
    seconds = world.size(10, 2)
    bodies = [requests(_animas(world, size), seconds * MOST_RATE, SEED + 3 + client) for client in range(CLIENTS)]
    with ProcessPoolExecutor(CLIENTS) as pool:
        list(pool.map(_idle, range(CLIENTS)))
        end = time.monotonic() + seconds
        answered = sum(pool.map(_ask_until, repeat(end), repeat(port), bodies))
        return answered / seconds


def _ask_until(end: float, port: int, bodies: list[str]) -> int:
    """How many of them were answered until the clock, which all processes share, says `end`."""
    asked = ask(port, (body for body in bodies if time.monotonic() < end))
    return len(asked) - (time.monotonic() > end)


def _idle(_: int) -> None:
    """Starts a worker process before the clock does."""


def _nearest_alone(settings: Settings, world: World, size: int) -> float:
    """p95 in ms of the nearest 40 of an anima by exact search in SQL, vectors given."""
    took = []
    with psycopg.connect(dsn(settings), autocommit=True) as connection:
        register_vector(connection)
        connection.execute("SET plan_cache_mode = force_custom_plan")
        for number, vector in enumerate(Texts(SEED + 4).vectors(world.size(100, 20))):
            animas = _animas(world, size)
            started = time.perf_counter()
            connection.execute(NEAREST, [animas[number % len(animas)], HalfVector(vector)]).fetchall()
            took.append(1e3 * (time.perf_counter() - started))
    return sorted(took)[int(0.95 * len(took))]


def _recall(settings: Settings, world: World) -> list[Figure]:
    """Share of the true nearest 40 (float64 over all stored vectors) among the best 40 that are found, by Postgres or
    by the matrix, whichever has fewer.
    """
    figures = []
    for size in LATENCY_MS:
        world.say(f"recall in an anima of {size:,} events")
        vectors = Texts(SEED + 5).vectors(world.size(20, 3))
        found = [asyncio.run(_overlap(settings, size, vector)) for vector in vectors]
        note = f"{min(count for _, count in found)} returned of {size:,}"
        share = sum(share for share, _ in found) / len(found)
        figures.append(
            Figure(f"recall of the top {TOP}, {size:,} events", share, "", at_least=0.99, baseline=1,
                   baseline_name="exact search", note=note)
        )  # fmt: skip
    return figures


async def _overlap(
    settings: Settings, size: int, vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> tuple[float, int]:
    asked, key, run = HalfVector(vector), LayerKey(anima(size, 0), 0, 0, 1), Run()
    async with await psycopg.AsyncConnection.connect(
        dsn(settings), autocommit=True, row_factory=dict_row
    ) as connection:
        await register_vector_async(connection)
        _, compared = await retrieval.compare(connection, key, vector)
        while run.end < size:
            run.append(*await retrieval.next_vectors(connection, key, len(vector), run.end))
        everything = "SELECT v FROM vectors_384 WHERE anima_id = %s AND layer = 0 ORDER BY seq"
        stored = await (await connection.execute(everything, [key.anima], binary=True)).fetchall()
    exact = np.array([one["v"].to_numpy() for one in stored], np.float64) @ asked.to_numpy().astype(np.float64)
    true = set(np.argsort(-exact)[:TOP])
    ways = compared, run.products(asked.to_numpy().astype(np.float32))
    found = min(len(true & set(np.argsort(-similarity)[:TOP])) for similarity in ways)
    return found / TOP, min(map(len, ways))
