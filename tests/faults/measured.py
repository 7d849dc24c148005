"""The frame of the long runs: a folder of their own while they last, a table at the end, exit code 1 for a miss."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.figure import Figure
from benchmarks.isolation import isolate
from benchmarks.machine import machine
from benchmarks.report import show, write
from tests.faults.console import say


def measure(
    name: str, run: Callable[[Path], Coroutine[Any, Any, Sequence[Figure]]], out: Path | None, *, quick: bool
) -> None:
    """`out`: directory for the figures, if they are to stay; `quick`: shorter than it should be. Ends the process."""
    isolate()
    folder = Path(tempfile.mkdtemp(prefix=f"elephantasm-{name}-"))
    try:
        figures = asyncio.run(run(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(Console(width=None if sys.stdout.isatty() else 140), figures, quick=quick)
    if out is not None:
        say(str(write(out, name, figures, machine(out), quick=quick)))
    sys.exit(any(figure.met is False for figure in figures))
