"""The table that says what was lost, by class of fault."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from tests.faults.injected import Injected
from tests.faults.kinds import CLASSES, NOT_OFFERED
from tests.faults.money import Repeats
from tests.faults.violation import Sort, Violation

HEADINGS = ("fault", "injected", "survived", "lost", "duplicated", "paid twice", "wrong", "recovery p50 s", "max s")
SHOWN = 5  # violations of a kind
SORTS: tuple[Sort, ...] = ("lost", "duplicated", "paid twice", "wrong")


@dataclass
class Outcome:
    seed: int
    rate: float
    only: str | None = None
    baseline_s: list[float] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    unblamed: list[Violation] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    repeats: Repeats = field(default_factory=Repeats)

    @property
    def violations(self) -> list[Violation]:
        return [*self.unblamed, *(found for one in self.injected for found in one.violations)]

    @property
    def clean(self) -> bool:
        return not self.violations and all(one.recovery_s is not None for one in self.injected)

    def blame(self, found: list[Violation]) -> None:
        """Each violation is put down to the fault during or before which its record was written."""
        for violation in found:
            at = None if violation.at_ms is None else violation.at_ms / 1000
            guilty = next((one for one in self.injected if at is not None and at <= one.until), None)
            (guilty.violations if guilty else self.unblamed).append(violation)

    def rows(self) -> list[tuple[str, ...]]:
        rows = [self._row(of, [one for one in self.injected if one.kind.of == of]) for of in CLASSES]
        rows = [row for row in rows if row[1] != "0"]
        rows.append(self._row("all", self.injected, self.violations))
        return rows

    def _row(self, name: str, mine: list[Injected], found: list[Violation] | None = None) -> tuple[str, ...]:
        found = [violation for one in mine for violation in one.violations] if found is None else found
        sorts = Counter(violation.sort for violation in found)
        times = [one.recovery_s for one in mine if one.recovery_s is not None]
        recovery = (f"{median(times):.1f}", f"{max(times):.1f}") if times else ("", "")
        return (name, str(len(mine)), str(len(times)), *(str(sorts[sort]) for sort in SORTS), *recovery)

    def remarks(self) -> list[str]:
        without = f"Without a fault the same takes {median(self.baseline_s):.1f} s (p50 of {len(self.baseline_s)})."
        again = (
            f"{self.repeats.taken} calls to the model were asked again because their reply was on its way when "
            f"something was struck, of {self.repeats.in_flight} that were; "
            f"{self.repeats.late} because it came after the time-out."
        )
        absent = [f"Not offered on this machine: {name}, since {why}." for name, why in NOT_OFFERED.items()]
        return [without, again, *absent, "; ".join(f"{count:,} {name}" for name, count in self.counts.items()) + "."]


def show(console: Console, outcome: Outcome) -> None:
    table = Table(box=SIMPLE)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    for row in outcome.rows():
        table.add_row(*row)
    console.print(table)
    for remark in outcome.remarks():
        console.print(remark, soft_wrap=True)
    for one in outcome.injected:
        if one.problem:
            console.print(f"  not survived: {one.kind.name}: {one.problem}", markup=False, soft_wrap=True)
    for of_a_kind in _by_kind(outcome.violations):
        for violation in of_a_kind[:SHOWN]:
            console.print(f"  {violation.sort}: {violation.what}", markup=False, soft_wrap=True)
        if (left := len(of_a_kind) - SHOWN) > 0:
            console.print(f"  and {left:,} more like these")


def _by_kind(found: list[Violation]) -> list[list[Violation]]:
    """Those that begin with the same word together."""
    kinds: dict[tuple[str, str], list[Violation]] = {}
    for violation in found:
        kinds.setdefault((violation.sort, violation.what.split(" ", 1)[0]), []).append(violation)
    return list(kinds.values())


def stem(now: datetime, seed: int, only: str | None) -> str:
    """Of the files: `2026-11-21-faults-crash-points-seed1`."""
    words = re.findall(r"[a-z0-9]+", (only or "").lower())
    return "-".join([f"{now:%Y-%m-%d}-faults", *words, f"seed{seed}"])


def write(folder: Path, machine: dict[str, str], outcome: Outcome) -> Path:
    """A `.md` and a `.json`; returns the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{stem(now, outcome.seed, outcome.only)}.md"
    command = f"make faults FAULTS={len(outcome.injected)} SEED={outcome.seed}"
    command += f' ONLY="{outcome.only}"' if outcome.only else ""
    head = f"# faults, seed {outcome.seed}, {now:%Y-%m-%d %H:%M} UTC"
    lines = [head, "", ", ".join(f"{what} {value}" for what, value in machine.items()), ""]
    lines += [f"`{command}`, {outcome.rate:g} records/s.", ""]
    lines += [f"| {' | '.join(HEADINGS)} |", "|---|" + "--:|" * (len(HEADINGS) - 1)]
    lines += [f"| {' | '.join(row)} |" for row in outcome.rows()]
    lines += ["", *(line for remark in outcome.remarks() for line in (remark, ""))]
    lines += ["| kind of fault | class | injected | survived | recovery p50 s | max s |", "|---|---|--:|--:|--:|--:|"]
    for kind in dict.fromkeys(one.kind for one in outcome.injected):
        mine = [one for one in outcome.injected if one.kind == kind]
        times = [one.recovery_s for one in mine if one.recovery_s is not None]
        took = f"{median(times):.1f} | {max(times):.1f}" if times else " | "
        lines.append(f"| {kind.name} | {kind.of} | {len(mine)} | {len(times)} | {took} |")
    path.write_text("\n".join(lines) + "\n")
    made = {"seed": outcome.seed, "only": outcome.only, "rate": outcome.rate,
            "made": now.isoformat(timespec="seconds"), "machine": machine, "counts": outcome.counts,
            "errors": outcome.errors, "baseline_s": outcome.baseline_s, "repeats": outcome.repeats._asdict(),
            "faults": [{"class": one.kind.of, "kind": one.kind.name, "recovery_s": one.recovery_s,
                        "problem": one.problem, "violations": [list(violation) for violation in one.violations]}
                       for one in outcome.injected],
            "violations": [list(violation) for violation in outcome.violations]}  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(made, indent=1) + "\n")
    return path
