"""`python -m tests.faults.soak`: load and a fault every so often, for half an hour; memory, handles, recovery, lag."""

import asyncio
import random
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import typer

from benchmarks.figure import Figure
from streams.settling import NotSettled
from tests.faults import models, processes, servers  # noqa: F401  they declare kinds
from tests.faults.console import say
from tests.faults.kinds import KINDS, Kind
from tests.faults.measured import measure
from tests.faults.probe import NotRecovered, recovered, settled
from tests.faults.scene import Scene, scene
from tests.faults.schedule import schedule
from tests.faults.stream import Stream
from tests.faults.watch import Watch

WARM_S = 300.0  # memory may grow so long
# A process that is hit often never gets old: what counts is the largest of a program's processes.
GROWTH = 1.10
DRAIN_S = 600.0
MB = 1_000_000


def main(
    minutes: Annotated[float, typer.Option(min=1)] = 30.0,
    rate: Annotated[float, typer.Option(help="Events a second.")] = 1_000.0,
    every: Annotated[float, typer.Option(help="Seconds between two faults.")] = 20.0,
    seed: Annotated[int, typer.Option()] = 1,
    out: Annotated[Path | None, typer.Option(help="Directory for the figures.")] = None,
) -> None:
    """On a stack of its own, in a temporary directory (TMPDIR says where)."""
    measure("soak", lambda folder: soak(folder, minutes * 60, rate, every, seed), out, quick=minutes < 30)


async def soak(folder: Path, seconds: float, rate: float, every: float, seed: int) -> Sequence[Figure]:
    # Windows of a hundred events: the model's pace is not what is looked at.
    async with scene(folder, random.Random(f"soak faults {seed}"), threshold=50.0, token_weight=0.0) as here:
        watch, stream = Watch(here), Stream(here.settings, seed, rate)
        running = [asyncio.ensure_future(watch.run()), asyncio.ensure_future(stream.run())]
        say(f"ready; {rate:g} events/s for {seconds:g} s, a fault every {every:g} s")
        begun, times, unhealed = time.monotonic(), list[float](), 0
        kinds = schedule(
            [kind for kind in KINDS if kind.of in ("kills", "zombies", "workers", "servers", "models")], 10_000, seed
        )
        for number, kind in enumerate(kinds):
            if time.monotonic() - begun + every > seconds:
                break
            await asyncio.sleep(max(0.0, begun + (number + 1) * every - time.monotonic()))
            healed = await _strike(here, kind)
            times += [healed] if healed is not None else []
            unhealed += healed is None
        for task in running:
            task.cancel()
        return figures_of(watch, stream, times, unhealed, await _drained(here), begun, seconds)


async def _drained(here: Scene) -> float:
    """Seconds until no stage lags any more; infinite if that takes longer than DRAIN_S."""
    begun = time.monotonic()
    try:
        await settled(here.settings, DRAIN_S)
    except NotSettled as error:
        say(f"NOT DRAINED: {error}")
        return inf
    return time.monotonic() - begun


async def _strike(here: Scene, kind: Kind) -> float | None:
    try:
        await kind.inject(here)
        took = await recovered(here.settings)
    except NotRecovered as error:
        say(f"{kind.of}: {kind.name}: NOT RECOVERED: {error}")
        return None
    say(f"{kind.of}: {kind.name}: recovered in {took:.1f} s")
    return took


def figures_of(
    watch: Watch, stream: Stream, times: list[float], unhealed: int, drained: float, begun: float, seconds: float
) -> list[Figure]:
    p95 = quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    found = [
        Figure("events sent", stream.sent, "", note=f"{stream.sent / seconds:,.0f} a second"),
        Figure("faults", len(times) + unhealed, "", note="each waits for the recovery from the one before"),
        Figure("faults not recovered from", unhealed, "", at_most=0),
        Figure("recovery p50", median(times), "s"),
        Figure("recovery p95", p95, "s", at_most=15),
        Figure("lag back to zero after the last event", drained, "s", at_most=DRAIN_S),
    ]
    since = begun + min(WARM_S, seconds / 2)
    for program in watch.samples:
        before, after = watch.growth(program, "rss", since)
        found.append(Figure(f"{program}, memory at the end", after / MB, "MB", at_most=GROWTH * before / MB,
                            baseline=before / MB, baseline_name="after the warm-up"))  # fmt: skip
        before, after = watch.growth(program, "handles", since)
        found.append(Figure(f"{program}, open handles at the end", after, "", at_most=GROWTH * before + 5,
                            baseline=before, baseline_name="after the warm-up"))  # fmt: skip
    return found


if __name__ == "__main__":
    typer.run(main)
