"""`make faults`: breaks a running stack in every way, and counts what is lost, doubled or paid twice."""

import asyncio
import random
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from streams.kafka import topics_of
from tests.faults import clocks, crash_points, freezes, models, poison, processes, servers  # noqa: F401  they declare kinds
from tests.faults.console import say
from tests.faults.expected import derive
from tests.faults.injected import inject
from tests.faults.invariants import idle, repeated, violations
from tests.faults.kinds import CLASSES, KINDS, Kind
from tests.faults.load import Load
from tests.faults.measured import Ended, frame
from tests.faults.money import unrecorded
from tests.faults.probe import recovered, settled
from tests.faults.report import Outcome, show, write
from tests.faults.rows import stored
from tests.faults.scene import Scene, scene
from tests.faults.schedule import schedule
from tests.faults.small_disk import TABLES, VECTORS
from tests.faults.undisturbed import differences
from tests.faults.violation import Violation
from tests.live.log import read

LONG = len(CLASSES)  # a run of so many faults has met every class, and lasts minutes


def main(
    faults: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    seed: Annotated[int, typer.Option(help="Decides what is sent and what is broken.")] = 1,
    rate: Annotated[float, typer.Option(min=1, help="Records a second while things break.")] = 60.0,
    only: Annotated[
        str | None, typer.Option(help=f"One class of {', '.join(CLASSES)}, or part of a kind's name.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the table.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave logs and rows where they are.")] = False,
) -> None:
    """Break a stack of its own, in a temporary directory (TMPDIR says where). Exit code 1 if anything was lost."""
    kinds = [kind for kind in KINDS if only is None or only == kind.of or only in kind.name]
    if not kinds:
        sys.exit(f"No fault is called {only!r}. There are:\n" + "\n".join(f"  {k.of}: {k.name}" for k in KINDS))

    async def ended(folder: Path) -> Ended:
        outcome = Outcome(seed, rate, only)
        await run(folder, schedule(kinds, faults, seed), outcome)
        return Ended(partial(show, outcome=outcome), partial(write, outcome=outcome), outcome.clean)

    frame("faults", ended, out, keep=keep)


async def run(folder: Path, kinds: list[Kind], outcome: Outcome) -> None:
    seed, rate = outcome.seed, outcome.rate
    async with scene(folder / "disturbed", random.Random(f"faults {seed}"), small=[*TABLES, VECTORS]) as here:
        load = Load(here.settings, seed, rate, here.gate)
        loading = asyncio.ensure_future(load.run())
        say(f"ready; {rate:g} records/s")
        outcome.baseline_s = [await recovered(here.settings) for _ in range(5)]
        for number, kind in enumerate(kinds):
            await asyncio.sleep(here.dice.uniform(0.5, 3.0))
            outcome.injected.append(await inject(here, kind, f"{number + 1}/{len(kinds)}"))
            if loading.done():
                loading.result()
        await load.stop()
        await loading
        await recovered(here.settings)
        await settled(here.settings, 600)
        say(f"{load.sent:,} records sent; looking for what is missing")
        outcome.errors = load.promises.errors
        await _audit(here, load, folder, outcome)


async def _audit(here: Scene, load: Load, folder: Path, outcome: Outcome) -> None:
    log = await read(here.settings, topics_of(here.settings).events.name)
    letters = await read(here.settings, topics_of(here.settings).dead_letters.name)
    expected, rows = derive(log, here.settings), await stored(here.settings)
    found: list[Violation] = violations(expected, rows, load.promises)
    paid, outcome.repeats = here.paid_twice(rows)
    asked = len(here.provider.account)
    needed = {"posts answered": len(load.promises.stored), "batches answered": len(load.promises.batches),
              "animas created": len(load.promises.animas), "wrong events refused": load.promises.refused,
              "packs served": len(expected.recalls), "windows": len(expected.windows),
              "poison records": len(expected.letters)}  # fmt: skip
    outcome.counts = {"records in the log": len(log), "events": len(expected.events), **needed, "model calls": asked,
                      "dead letters that stand on their topic once more": repeated(letters)}  # fmt: skip
    say(", ".join(f"{count:,} {name}" for name, count in outcome.counts.items()))
    say("the same log once more, undisturbed")
    found += paid + await differences(here.settings, here.provider, log, folder / "undisturbed")
    found += unrecorded(here.provider.account[asked:])
    if len(outcome.injected) >= LONG:
        found += idle(needed)
    outcome.blame(found)


if __name__ == "__main__":
    typer.run(main)
