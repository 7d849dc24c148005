"""Packs over HTTP among a million events: latency of one client, rate of eight; as the client sees it, embedding included."""

import http.client
import json
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from uuid import UUID

from benchmarks.corpus import SEED, Texts, anima

SIZES = (1_000, 10_000, 100_000)
LATENCY_MS = {1_000: 15.0, 10_000: 25.0, 100_000: 75.0}
RATE = {1_000: 250.0, 10_000: 150.0, 100_000: 30.0}
REQUESTS = {1_000: 400, 10_000: 300, 100_000: 150}
CLIENTS = 8
NOW = "2026-06-01T00:00:00Z"


def ask(host: str, port: int, animas: list[UUID], count: int, seed: int) -> list[float]:
    """Milliseconds of each of `count` requests, one after the other on one connection, every question a new one."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    questions, took = Texts(seed).make(count), []
    for number, question in enumerate(questions):
        body = {"anima_id": str(animas[number % len(animas)]), "query": " ".join(question.split()[:8]), "now": NOW}
        content = json.dumps(body | {"max_tokens": 2000})
        started = time.perf_counter()
        connection.request("POST", "/api/packs/compile/preview", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        payload = answer.read()
        took.append(1e3 * (time.perf_counter() - started))
        if answer.status != 200 or not json.loads(payload)["items"]:
            raise RuntimeError(f"{answer.status}: {payload[:500]!r}")
    return took


def animas_of(size: int) -> list[UUID]:
    return [anima(size, number) for number in range({1_000: 50, 10_000: 20, 100_000: 1}[size])]


def latency(host: str, port: int, size: int) -> list[float]:
    """Sorted milliseconds of one client, warm."""
    ask(host, port, animas_of(size), 60, SEED + 1)
    return sorted(ask(host, port, animas_of(size), REQUESTS[size], SEED + 2))


def rate(host: str, port: int, size: int) -> float:
    """Packs per second of eight clients, each a process with a connection of its own."""
    each = max(20, REQUESTS[size] // 4)
    with ProcessPoolExecutor(CLIENTS) as pool:
        list(pool.map(_idle, range(CLIENTS)))
        started = time.perf_counter()
        done = [pool.submit(ask, host, port, animas_of(size), each, SEED + 3 + client) for client in range(CLIENTS)]
        for one in done:
            one.result()
        return CLIENTS * each / (time.perf_counter() - started)


def _idle(_: int) -> None:
    """Starts a worker process before the clock does."""


def main() -> None:
    host, port = sys.argv[1].split(":")
    for size in SIZES:
        took = latency(host, int(port), size)
        p50, p95 = statistics.median(took), took[int(0.95 * len(took))]
        print(f"{size:>7,} events: p50 {p50:.1f} ms, p95 {p95:.1f} ms (≤ {LATENCY_MS[size]:g})", flush=True)
        if "--rate" in sys.argv:
            print(f"{size:>7,} events, 8 clients: {rate(host, int(port), size):.0f} packs/s (≥ {RATE[size]:g})", flush=True)


if __name__ == "__main__":
    main()
