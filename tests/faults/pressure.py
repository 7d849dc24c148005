"""`python -m tests.faults.pressure sink|model`: one of them does not work for minutes; what piles up, how it drains."""

import asyncio
import random
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
import typer

from benchmarks.figure import Figure
from sinks.database import dsn
from stack.kafka import JVM
from streams.lag import lags
from tests.faults.clients import Clients
from tests.faults.console import say
from tests.faults.measured import measure
from tests.faults.probe import recovered, settled
from tests.faults.scene import Scene, scene, without
from tests.faults.stream import Stream
from tests.faults.watch import STAGES, Watch

STEADY_S = 60.0
SLOW_S = 30.0  # of a call
MB = 1_000_000
# Of a process of a stage, whatever stands still: its code and libraries, and records read ahead, which every stage
# bounds in bytes. One of the API holds the vectors of the animas asked for besides, of which its cache keeps so many.
BOUND = 400 * MB
LAYER_CACHE_MB = 128
API_BOUND = BOUND + LAYER_CACHE_MB * MB
BEHIND_SHARE = 0.5  # of what came meanwhile: less, and the sink was not held
STEADY_SHARE = 0.8  # of what is sent: less, and the sink was behind before it was held
DRAIN_SHARE = 0.8
# The heap's limit, and as much again for what the JVM keeps beside it: its buffers have the same limit.
KAFKA_BOUND = 2 * int(re.findall(r"-Xmx(\d+)m", " ".join(JVM))[0]) * 2**20
POSTGRES_BOUND = (
    "SELECT pg_size_bytes(current_setting('shared_buffers')) + count(*) * pg_size_bytes(current_setting('work_mem')) "
    "FROM pg_stat_activity WHERE backend_type = 'client backend'"
)


def no_sink(here: Scene) -> AbstractAsyncContextManager[None]:
    return without(here.stack, "sink")


@asynccontextmanager
async def slow_model(here: Scene) -> AsyncIterator[None]:
    quick, here.provider.delay_s = here.provider.delay_s, SLOW_S
    try:
        yield
    finally:
        here.provider.delay_s = quick


HELD: dict[str, tuple[str, Callable[[Scene], AbstractAsyncContextManager[None]]]] = {
    "sink": ("sink", no_sink),
    "model": ("synthesize", slow_model),
}


def main(
    what: Annotated[str, typer.Argument(help="sink: it is stopped; model: a call takes 30 s.")],
    minutes: Annotated[float, typer.Option(min=0.5)] = 10.0,
    rate: Annotated[float, typer.Option(help="Events a second.")] = 1_000.0,
    out: Annotated[Path | None, typer.Option(help="Directory for the figures.")] = None,
) -> None:
    """On a stack of its own, in a temporary directory (TMPDIR says where)."""
    if what not in HELD:
        sys.exit(f"There is no {what!r}. There are: {', '.join(HELD)}.")
    measure(f"pressure-{what}", lambda folder: pressed(folder, what, minutes * 60, rate), out, quick=minutes < 10)


async def pressed(folder: Path, what: str, seconds: float, rate: float) -> Sequence[Figure]:
    stage, held = HELD[what]
    chosen: dict[str, Any] = {
        "threshold": 50.0,
        "token_weight": 0.0,
        "llm_timeout_s": 2 * SLOW_S,
        "layer_cache_mb": LAYER_CACHE_MB,
    }
    async with scene(folder, random.Random("pressure"), **chosen) as here:
        watch, stream, clients = Watch(here), Stream(here.settings, 1, rate), Clients(here.settings, 1)
        running = [asyncio.ensure_future(one.run()) for one in (stream, watch, clients)]
        say(f"ready; {rate:g} events/s, steady for {STEADY_S:g} s")
        await asyncio.sleep(STEADY_S / 2)
        first = await _records(here, stage)
        await asyncio.sleep(STEADY_S / 2)
        steady = (await _records(here, stage) - first) / (STEADY_S / 2)
        pressed_at = time.monotonic()
        async with held(here):
            say(f"{what} held for {seconds:g} s")
            await asyncio.sleep(seconds)
            _end(running[:1])
            behind, before = await _behind(here, stage), await _records(here, stage)
        say(f"{stage} is {behind:,} records behind; released")
        released = time.monotonic()
        await recovered(here.settings, 1_800)
        await settled(here.settings, 1_800)
        took = time.monotonic() - released
        drained = await _records(here, stage) - before
        _end(running[1:])
        say(f"{drained:,} records in {took:.0f} s")
        settings = here.settings
        due = rate if stage == "sink" else rate * settings.event_weight / settings.threshold
        return [*_flow(stage, due, seconds, steady, behind, drained / took), *clients.figures(),
                *[_most(watch, program, "rss", pressed_at, BOUND) for program in STAGES],
                _most(watch, "api", "rss", pressed_at, API_BOUND),
                _most(watch, "kafka", "whole", pressed_at, KAFKA_BOUND),
                _most(watch, "postgres", "whole", pressed_at, await _postgres_bound(here))]  # fmt: skip


def _end(running: Sequence["asyncio.Future[None]"]) -> None:
    """Raises what has ended one of them before."""
    for task in running:
        if task.done():
            task.result()
        task.cancel()


def _flow(stage: str, due: float, seconds: float, steady: float, behind: int, drains: float) -> list[Figure]:
    """`due`: records a second that come for the stage when all is well and every anima has had its first window."""
    sink = stage == "sink"  # to another they come as soon as the first windows are full, which takes minutes
    return [
        Figure(f"{stage}, before", steady, "records/s", at_least=STEADY_SHARE * due if sink else None),
        Figure(
            f"{stage} behind when released", behind, "records", at_least=BEHIND_SHARE * due * seconds if sink else 1
        ),
        Figure(f"{stage} drains", drains, "records/s", baseline=due, baseline_name="due", times_baseline=DRAIN_SHARE),
    ]


async def _behind(here: Scene, stage: str) -> int:
    return sum(one.lag for one in await lags(here.settings) if one.stage == stage)


async def _records(here: Scene, stage: str) -> int:
    """That a stage has dealt with."""
    return sum(one.next for one in await lags(here.settings) if one.stage == stage)


async def _postgres_bound(here: Scene) -> int:
    """The buffers that its processes share, and the work memory of a sort in each connection."""
    async with await psycopg.AsyncConnection.connect(dsn(here.settings)) as connection:
        [(bound,)] = await (await connection.execute(POSTGRES_BOUND)).fetchall()
    return int(bound)


def _most(watch: Watch, program: str, what: Literal["rss", "whole"], since: float, bound: int) -> Figure:
    """Raises ValueError if nobody has looked."""
    most = max(getattr(one, what) for one in watch.samples[program] if one.at >= since)
    before = max(getattr(one, what) for one in watch.samples[program] if one.at < since)
    of = "a process" if what == "rss" else "all its processes"
    return Figure(f"{program}, most memory of {of}", most / MB, "MB", at_most=bound / MB, baseline=before / MB,
                  baseline_name="before")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
