"""start: `elephantasm up --detach` to ready, with an empty data directory and with one that is there."""

import os
import subprocess
import sys
import time
from statistics import median

from benchmarks.figure import Figure
from benchmarks.world import World
from stack import jars
from stack.embedded import Stack
from stack.environment import variables
from stack.settings import Settings


def run(world: World) -> list[Figure]:
    settings, fetched = world.settings(), jars.fetched()
    try:
        first = _up(settings)
        again = [_again(settings) for _ in range(world.runs)]
    finally:
        Stack(settings).stop()
    world.say(f"first {first:.1f} s, then {', '.join(f'{one:.1f}' for one in again)} s")
    kafka = "Kafka's jars were there already" if fetched else "Kafka's jars fetched in it"
    return [
        Figure(
            "start, second", median(again), "s", at_most=15, note=f"median of {world.runs}, slowest {max(again):.1f} s"
        ),
        Figure("start, first", first, "s", note=f"creates the database cluster, the log and the tables; {kafka}"),
    ]


def _again(settings: Settings) -> float:
    Stack(settings).stop()
    return _up(settings)


def _up(settings: Settings) -> float:
    """Seconds until the command has ended, which is when the stack is ready. Raises RuntimeError."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "stack.cli", "up", "--detach"],
        env=os.environ | variables(settings), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return time.perf_counter() - started
