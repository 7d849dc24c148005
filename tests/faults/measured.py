"""The frame of the long runs: a folder of their own while they last, a table at the end, exit code 1 for a miss."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from benchmarks.figure import Figure
from benchmarks.isolation import isolate
from benchmarks.machine import machine
from benchmarks.report import show, write
from tests.faults.console import say


class Ended(NamedTuple):
    """What a run has come to. `write` keeps it in a directory, beside where it was made, and returns the file."""

    show: Callable[[Console], None]
    write: Callable[[Path, dict[str, str]], Path]
    clean: bool


def frame(
    name: str, run: Callable[[Path], Coroutine[Any, Any, Ended]], out: Path | None, *, keep: bool = False
) -> None:
    """`out`: directory for the table, if it is to stay; `keep`: logs and rows stay too. Ends the process."""
    isolate()
    folder = Path(tempfile.mkdtemp(prefix=f"elephantasm-{name}-"))
    made_on = machine(folder)
    try:
        ended = asyncio.run(run(folder))
    finally:
        if keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    ended.show(Console(width=None if sys.stdout.isatty() else 140))
    if out is not None:
        say(str(ended.write(out, made_on)))
    sys.exit(not ended.clean)


def measure(
    name: str, run: Callable[[Path], Coroutine[Any, Any, Sequence[Figure]]], out: Path | None, *, quick: bool
) -> None:
    """A run that ends with figures; `quick`: shorter than it should be."""

    async def measured(folder: Path) -> Ended:
        figures = await run(folder)
        return Ended(
            partial(show, figures=figures, quick=quick),
            lambda into, made_on: write(into, name, figures, made_on, quick=quick),
            all(figure.met is not False for figure in figures),
        )

    frame(name, measured, out)
