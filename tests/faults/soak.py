"""`python -m tests.faults.soak`: load and a fault every so often, for half an hour; memory, handles, recovery, lag.

The load is a stream of events to Kafka, and clients that ask the API for packs and post events to it.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import typer

from benchmarks.figure import Figure
from streams.kafka import topics_of
from streams.settling import NotSettled
from tests.faults import models, processes, servers  # noqa: F401  they declare kinds
from tests.faults.clients import Clients
from tests.faults.console import say
from tests.faults.expected import derive
from tests.faults.injected import Injected, inject
from tests.faults.invariants import violations
from tests.faults.kinds import KINDS, Kind
from tests.faults.load import Promises
from tests.faults.measured import measure
from tests.faults.probe import settled
from tests.faults.report import SHOWN
from tests.faults.rows import stored
from tests.faults.scene import Scene, scene
from tests.faults.schedule import schedule
from tests.faults.stream import Stream
from tests.faults.strikes import SERVERS
from tests.faults.watch import Watch
from tests.live.log import read

WARM_S = 300.0  # memory may grow so long
# A process that is hit often never gets old: what counts is the largest of a program's processes.
GROWTH = 1.10
# A process keeps in part what it has once needed: the largest backlog comes first, or one later would pass for a leak.
BACKLOG_S = 30.0
HANDLES = 5  # may come: a connection more or less. Servers have many, so theirs may grow by the same share as memory
# Besides, the API's two pools begin with one connection to Postgres each and may have eight: they grow when all are
# waited for, after each restart of Postgres, and give back one in ten minutes. Lost ones show in Postgres' own handles.
POOLED = {"api": 2 * (8 - 1)}
DUE_SHARE = 0.95  # of the faults: a recovery that takes longer than the pause takes the place of others
DRAIN_S = 600.0
MB = 1_000_000
NOTES = {"kafka": "but segments of logs", "postgres": "of all its processes, but files of data"}


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
    # Windows of a hundred events: the model's pace is not what is looked at. A cache that is full before the warm-up is
    # over: one that fills would pass for a leak, and hide one.
    chosen: dict[str, Any] = {"threshold": 50.0, "token_weight": 0.0, "layer_cache_mb": 128}
    async with scene(folder, random.Random(f"soak faults {seed}"), **chosen) as here:
        watch, stream, clients = Watch(here), Stream(here.settings, seed, rate), Clients(here.settings, seed)
        running = [asyncio.ensure_future(one.run()) for one in (watch, stream, clients)]
        due = int(seconds / every) - 1  # the last has its time, too
        say(f"ready; {rate:g} events/s for {seconds:g} s, a fault every {every:g} s: {due} are due")
        begun, injected = time.monotonic(), list[Injected]()
        kinds = schedule(
            [kind for kind in KINDS if kind.of in ("kills", "zombies", "workers", "servers", "models")], 10_000, seed
        )
        for number, kind in enumerate([Kind("servers", "Kafka frozen for the largest backlog", _hold_up), *kinds]):
            if time.monotonic() - begun + every > seconds:
                break
            await asyncio.sleep(max(0.0, begun + (number + 1) * every - time.monotonic()))
            injected.append(await inject(here, kind, f"{number + 1}/{due}"))
        for task in running:
            if task.done():
                task.result()
            task.cancel()
        drained_s = await _drained(here)
        found = [Figure("events sent", stream.sent, "", note=f"{stream.sent / seconds:,.0f} a second"),
                 *_recovered(injected, due),
                 Figure("lag back to zero after the last event", drained_s, "s", at_most=DRAIN_S),
                 Figure("rows lost, doubled, paid twice or wrong", await _audited(here) if drained_s < inf else inf, "",
                        at_most=0),
                 *clients.figures()]  # fmt: skip
        return found + _growth(watch, begun + min(WARM_S, seconds / 2))


async def _hold_up(here: Scene) -> None:
    await here.freeze(here.processes("kafka"), BACKLOG_S)


async def _drained(here: Scene) -> float:
    """Seconds until no stage lags any more; infinite if that takes longer than DRAIN_S."""
    begun = time.monotonic()
    try:
        await settled(here.settings, DRAIN_S)
    except NotSettled as error:
        say(f"NOT DRAINED: {error}")
        return inf
    return time.monotonic() - begun


async def _audited(here: Scene) -> int:
    """How many, by the log alone; the first of them are printed."""
    log = await read(here.settings, topics_of(here.settings).events.name)
    rows = await stored(here.settings)
    say(f"auditing {len(log):,} records and {len(rows.memories):,} memories")
    found = violations(derive(log, here.settings), rows, Promises()) + here.paid_twice(rows)[0]
    for one in found[:SHOWN]:
        say(f"{one.sort}: {one.what}")
    return len(found)


def _recovered(injected: Sequence[Injected], due: int) -> list[Figure]:
    times = [one.recovery_s for one in injected if one.recovery_s is not None]
    return [
        Figure("faults due", due, ""),
        Figure("faults injected", len(injected), "", at_least=DUE_SHARE * due,
               note="each waits for the recovery from the one before"),
        Figure("faults not recovered from", len(injected) - len(times), "", at_most=0),
        Figure("recovery p50", median(times) if times else inf, "s"),
        Figure("recovery p95", quantiles(times, n=20)[-1] if len(times) > 1 else inf, "s", at_most=15),
    ]  # fmt: skip


def _growth(watch: Watch, since: float) -> list[Figure]:
    return [figure for program in watch.samples
            for figure in (_memory(watch, program, since), _handles(watch, program, since))]  # fmt: skip


def _memory(watch: Watch, program: str, since: float) -> Figure:
    server = program in SERVERS
    before, after = watch.growth(program, "own" if server else "rss", since)
    return Figure(f"{program}, memory at the end", after / MB, "MB", at_most=GROWTH * before / MB,
                  baseline=before / MB, baseline_name="after the warm-up",
                  note="of all its processes, not shared" if server else "of a process")  # fmt: skip


def _handles(watch: Watch, program: str, since: float) -> Figure:
    before, after = watch.growth(program, "handles", since)
    return Figure(f"{program}, open handles at the end", after, "",
                  at_most=(GROWTH * before if program in SERVERS else before) + HANDLES + POOLED.get(program, 0),
                  baseline=before, baseline_name="after the warm-up", note=NOTES.get(program, ""))  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
