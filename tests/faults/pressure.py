"""`python -m tests.faults.pressure sink|model`: one of them does not work for minutes; what piles up, how it drains."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.figure import Figure
from streams.lag import lags
from tests.faults.console import say
from tests.faults.measured import measure
from tests.faults.probe import recovered, settled
from tests.faults.scene import Scene, scene, without
from tests.faults.stream import Stream
from tests.faults.watch import STAGES, Watch

STEADY_S = 60.0
SLOW_S = 30.0  # of a call
BOUND = 400  # MB that a process of a stage or of the API may take, whatever stands still
MB = 1_000_000


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
    chosen = {"threshold": 50.0, "token_weight": 0.0, "llm_timeout_s": 2 * SLOW_S}
    async with scene(folder, random.Random("pressure"), **chosen) as here:
        watch, stream = Watch(here), Stream(here.settings, 1, rate)
        running = [asyncio.ensure_future(watch.run()), asyncio.ensure_future(stream.run())]
        say(f"ready; {rate:g} events/s, steady for {STEADY_S:g} s")
        await asyncio.sleep(STEADY_S / 2)
        first = await _records(here, stage)
        await asyncio.sleep(STEADY_S / 2)
        steady = (await _records(here, stage) - first) / (STEADY_S / 2)
        pressed_at = time.monotonic()
        async with held(here):
            say(f"{what} held for {seconds:g} s")
            await asyncio.sleep(seconds)
            for task in running[1:]:
                task.cancel()
            behind, before = await _behind(here, stage), await _records(here, stage)
        say(f"{stage} is {behind:,} records behind; released")
        released = time.monotonic()
        await recovered(here.settings, 1_800)
        await settled(here.settings, 1_800)
        took = time.monotonic() - released
        drained = await _records(here, stage) - before
        running[0].cancel()
        say(f"{drained:,} records in {took:.0f} s")
        found = [
            Figure(f"{stage} behind when released", behind, "records"),
            Figure(f"{stage} drains", drained / took, "records/s", baseline=steady, baseline_name="steady",
                   times_baseline=0.8),
        ]  # fmt: skip
        return found + [_largest(watch, program, pressed_at) for program in (*STAGES, "api")]


async def _behind(here: Scene, stage: str) -> int:
    return sum(one.lag for one in await lags(here.settings) if one.stage == stage)


async def _records(here: Scene, stage: str) -> int:
    """That a stage has dealt with."""
    return sum(one.next for one in await lags(here.settings) if one.stage == stage)


def _largest(watch: Watch, program: str, since: float) -> Figure:
    most = max((one.rss for one in watch.samples[program] if one.at >= since), default=0)
    before = max((one.rss for one in watch.samples[program] if one.at < since), default=0)
    return Figure(f"{program}, most memory of a process", most / MB, "MB", at_most=BOUND, baseline=before / MB,
                  baseline_name="before")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
