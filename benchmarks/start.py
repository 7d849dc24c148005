"""start: `up --detach` to ready, on an empty data directory and on one that is there; and `demo` likewise."""

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
        first = _seconds(settings, "up", "--detach")
        again = [_again(settings, "up", "--detach") for _ in range(world.runs)]
        demo, demo_again = _again(settings, "demo"), _again(settings, "demo")
    finally:
        Stack(settings).stop()
    world.say(f"first {first:.1f} s, then {', '.join(f'{one:.1f}' for one in again)} s")
    kafka = "Kafka's jars were there already" if fetched else "Kafka's jars fetched in it"
    return [
        Figure(
            "start, second", median(again), "s", at_most=15, baseline=first, baseline_name="first",
            note=f"median of {world.runs}, slowest {max(again):.1f} s; "
            f"the first creates the database cluster, the log and the tables; {kafka}",
        ),
        Figure("demo, second", demo_again, "s", at_most=30, baseline=demo, baseline_name="first",
               note="with a start each; the first publishes the conversation"),
    ]  # fmt: skip


def _again(settings: Settings, *command: str) -> float:
    Stack(settings).stop()
    return _seconds(settings, *command)


def _seconds(settings: Settings, *command: str) -> float:
    """Until the command has ended, which leaves the stack ready. Raises RuntimeError."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "stack.cli", *command],
        env=os.environ | variables(settings), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return time.perf_counter() - started
