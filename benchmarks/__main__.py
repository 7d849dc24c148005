"""`python -m benchmarks [NAME …]`: one benchmark after the other, a table at the end, the figures in files.

A benchmark is a module of this package with `run(world) -> list[Figure]`. A missed target is said and is no failure.
"""

import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.figure import Figure
from benchmarks.isolation import isolate
from benchmarks.machine import machine
from benchmarks.report import show, write
from benchmarks.world import World

NAMES = ("start", "memory", "recovery", "score", "sink", "ingest", "freshness", "embed", "packs", "coverage")
RESULTS = Path(__file__).parent / "results"
WIDTH = 140  # of the table where nobody's terminal says
progress = Console(stderr=True, highlight=False)


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Default: all of them.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Say what there is.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, one run: whether it works.")] = False,
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    """Measure throughput and latency on servers of its own, in a temporary directory (TMPDIR says where)."""
    if list_:
        print("\n".join(f"{name:<10} {_about(name)}" for name in NAMES))
        return
    if unknown := set(names or ()) - set(NAMES):
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}. There are: {', '.join(NAMES)}.")
    isolate()
    figures: list[Figure] = []
    for name in names or NAMES:
        found, path = _measure(name, out, quick=quick)
        figures += found
        progress.print(f"{name}: {path}", markup=False, soft_wrap=True)
    show(Console(width=None if sys.stdout.isatty() else WIDTH), figures, quick=quick)


def _measure(name: str, out: Path, *, quick: bool) -> tuple[list[Figure], Path]:
    started = time.monotonic()

    def say(text: str) -> None:
        progress.print(f"{name} {time.monotonic() - started:5.0f} s  {text}", markup=False, soft_wrap=True)

    say(_about(name))
    with tempfile.TemporaryDirectory(prefix="elephantasm-bench-", ignore_cleanup_errors=True) as folder:
        figures = import_module(f"benchmarks.{name}").run(World(Path(folder), quick, say))
        return figures, write(out, name, figures, machine(Path(folder)), quick=quick)


def _about(name: str) -> str:
    return (import_module(f"benchmarks.{name}").__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    typer.run(main)
