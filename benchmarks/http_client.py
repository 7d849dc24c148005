"""HTTP clients in a process of their own, so that they do not share the interpreter with what they measure."""

import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

HEADERS = {"Content-Type": "application/json"}


class Answered(NamedTuple):
    """Seconds from the first request to the last answer, and milliseconds of each request."""

    took_s: float
    each_ms: list[float]


def post(port: int, path: str, clients: Sequence[Sequence[bytes]]) -> Answered:
    """Each client posts its bodies one after the other on one connection, all clients at once. Raises RuntimeError."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_post, port, path, clients).result()


def _post(port: int, path: str, clients: Sequence[Sequence[bytes]]) -> Answered:
    with ThreadPoolExecutor(len(clients)) as threads:
        started = time.perf_counter()
        found = list(threads.map(partial(_one_by_one, port, path), clients))
        return Answered(time.perf_counter() - started, [ms for one in found for ms in one])


def _one_by_one(port: int, path: str, bodies: Sequence[bytes]) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took = []
    for body in bodies:
        started = time.perf_counter()
        connection.request("POST", path, body, HEADERS)
        answer = connection.getresponse()
        payload = answer.read()
        took.append(1000 * (time.perf_counter() - started))
        if answer.status // 100 != 2:
            raise RuntimeError(f"POST {path}: {answer.status} {payload[:500]!r}")
    connection.close()
    return took
