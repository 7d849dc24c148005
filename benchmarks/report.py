"""The table that a person reads, and the files that stay."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.figure import Figure, shown

VERDICTS = {True: "met", False: "NOT MET", None: ""}


def show(console: Console, figures: Sequence[Figure], *, quick: bool) -> None:
    table = Table(box=SIMPLE)
    for heading in ("figure", "measured", "target", "baseline, same run", ""):
        table.add_column(heading, justify="right" if heading == "measured" else "left", overflow="fold")
    for figure in figures:
        measured = f"{shown(figure.value)} {figure.unit}"
        table.add_row(figure.name, measured, figure.target, figure.beside, VERDICTS[figure.met])
    console.print(table)
    missed = [figure.name for figure in figures if figure.met is False]
    judged = sum(figure.met is not None for figure in figures)
    said = f"{judged - len(missed)} of {judged} targets met" + (f"; missed: {', '.join(missed)}" if missed else "")
    console.print(said + (" (quick sizes: the figures mean little)" if quick else ""), soft_wrap=True)


def write(folder: Path, name: str, figures: Sequence[Figure], machine: dict[str, str], *, quick: bool) -> Path:
    """`<date>-<name>.json` and `.md`; returns the path of the second."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    made = {"benchmark": name, "made": now.isoformat(timespec="seconds"), "quick": quick, "machine": machine}
    rows = [asdict(figure) | {"met": figure.met} for figure in figures]
    path = folder / f"{now:%Y-%m-%d}-{name}.md"
    path.with_suffix(".json").write_text(json.dumps(made | {"figures": rows}, indent=2, ensure_ascii=False) + "\n")
    path.write_text(markdown(name, now, figures, machine, quick=quick))
    return path


def markdown(name: str, now: datetime, figures: Sequence[Figure], machine: dict[str, str], *, quick: bool) -> str:
    lines = [f"# {name}, {now:%Y-%m-%d %H:%M} UTC{', quick sizes' if quick else ''}", ""]
    lines += [", ".join(f"{what} {value}" for what, value in machine.items()), ""]
    lines += ["| figure | measured | target | baseline, same run | met | how |", "|---|--:|---|---|---|---|"]
    for figure in figures:
        measured = f"{shown(figure.value)} {figure.unit}"
        cells = (figure.name, measured, figure.target, figure.beside, VERDICTS[figure.met], figure.note)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
