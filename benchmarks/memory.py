"""memory: what each process of a fresh stack holds after 30 idle seconds, and again after it has worked."""

import asyncio
import subprocess
import sys
import time
from typing import NamedTuple

import psutil

from benchmarks.figure import Figure
from benchmarks.telemetry import fill, sessions
from benchmarks.world import World, whole_stack
from stack.embedded import Stack
from stack.waiting import until
from streams.lag import Lag, lags

IDLE_S = 30.0
EVENTS, ANIMAS = 2_000, 20
WORK_S = 120.0
MB = 1e6
SMALL, LARGE = 150.0, 350.0  # MB; large are those that hold the embedding model
SERVERS = ("kafka", "postgres")
CLIENTS = "import aiokafka, psycopg; print(flush=True); input()"


class Held(NamedTuple):
    """MB of a process and its children. Shared pages count in RSS for each, in USS for none, in PSS by share."""

    rss: float
    uss: float
    pss: float


def run(world: World) -> list[Figure]:
    with whole_stack(world) as stack:
        world.say(f"ready; idle for {IDLE_S:g} s")
        time.sleep(IDLE_S)
        fresh = _held(stack)
        asyncio.run(fill(stack.settings, sessions(EVENTS, ANIMAS)))
        world.say(f"working on {EVENTS:,} events")
        if not until(lambda: not _lags(stack), WORK_S):
            behind = ", ".join(
                f"{one.stage} {one.topic}/{one.partition} {one.committed} of {one.end}" for one in _lags(stack)
            )
            raise RuntimeError(f"not all dealt with {EVENTS:,} events within {WORK_S:g} s: {behind}")
        after = _held(stack)
    clients, since = _clients(), f"idle for {IDLE_S:g} s since the start"
    idle = [_figure(f"memory, {name}", name, held, clients, since) for name, held in fresh.items()]
    return idle + [
        _figure(f"memory, {name}, after {EVENTS:,} events", name, held, clients, f"of {ANIMAS} animas")
        for name, held in after.items()
    ]


def _clients() -> Held:
    """Of a Python that has imported the two client libraries, and nothing else."""
    bare = subprocess.Popen([sys.executable, "-c", CLIENTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        held = _of(bare.pid)
        bare.kill()
    return held


def _held(stack: Stack) -> dict[str, Held]:
    return {one.name: _of(one.pid) for one in sorted(stack.status().processes, key=lambda p: p.name) if one.pid}


def _of(pid: int) -> Held:
    parent = psutil.Process(pid)
    found = [process.memory_full_info() for process in [parent, *parent.children(recursive=True)]]
    return Held(*(sum(getattr(one, kind, 0) for one in found) / MB for kind in Held._fields))


def _lags(stack: Stack) -> list[Lag]:
    return [one for one in asyncio.run(lags(stack.settings)) if one.lag]


def _figure(figure: str, process: str, held: Held, clients: Held, how: str) -> Figure:
    server = process in SERVERS
    limit = None if server else LARGE if process.startswith(("embed", "api")) else SMALL
    return Figure(
        figure,
        held.rss,
        "MB",
        at_most=limit,
        baseline=None if server else clients.rss,
        baseline_name="aiokafka and psycopg imported, no more",
        note=f"RSS, {how}; its own (USS) {held.uss:.0f}, its share (PSS) {held.pss:.0f}",
    )
