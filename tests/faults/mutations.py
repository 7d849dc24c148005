"""`python -m tests.faults.mutations`: takes one guard after the other out of a scratch copy; a fault run must notice.

A guard whose absence nobody notices is either not needed or not tested. And what is noticed with all guards in place is
not their absence: the same faults come to an unmodified copy first.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from benchmarks.machine import machine
from stack.jars import CHECKOUT
from tests.faults.console import say
from tests.faults.report import SORTS

LIMIT_S = 900
MARKS = [f"  {sort}: " for sort in SORTS]  # what a line begins with in which the auditor says what it found


class Mutation(NamedTuple):
    """The first text of each of `changes` stands in `file` once, and becomes the second. `only`: the faults that this
    guard is there for.
    """

    guard: str
    file: str
    only: str
    faults: int
    changes: tuple[tuple[str, str], ...]


MUTATIONS = (
    Mutation("offset guard", "tables/accumulation.py", "score: states delivered", 3, (
        ("""
    if offset <= state.absorbed:
        return state, ()
    rule, window = state.rule(defaults), state.window
""", """
    rule, window = state.rule(defaults), state.window
"""),
    )),
    Mutation("late acknowledgement", "agents/score.py", "score: triggers delivered, states not in the table", 3, (
        ("""
            await self.room.acquire()
""", """
            batch.ack()
            await self.room.acquire()
"""),
    )),
    Mutation("lossless seek", "streams/lossless.py", "score slow to seek", 4, (
        ("""
        self.stop_flow()  # the recovery calls resume_flow() right after this returns
        epoch = self.epoch
        await self.idle.wait()
""", """
        epoch = self.epoch
"""),
        ("""
            if self._is_source(tp) and self.sought != self.epoch:
                continue
""", "\n"),
        ("""
        await self._require_positions(epoch)
""", "\n"),
    )),
    Mutation("window claim", "sinks/windows.py", "synthesize: window claimed", 2, (
        ("""
        first_seq = last["last_seq"] + 1 if last else 0
""", """
        first_seq = 0
"""),
    )),
    Mutation("a claim is given again", "sinks/windows.py", "synthesize: window claimed", 2, (
        ("""
            return await _again(connection, generation, trigger)
""", """
            return None
"""),
    )),
    Mutation("compare-and-set in the sink", "sinks/sql/progress_advance.sql", "frozen at sink: changes of", 2, (
        ("""
    WHERE p.next_offset = (SELECT m.expected FROM move AS m WHERE (m.topic, m.partition) = (p.topic, p.partition))
""", "\n"),
    )),
    Mutation("the state that reaches furthest", "tables/store.py", "frozen at score", 4, (
        ("""
            value = record.value if known is None else furthest(key, known, record.value)
""", """
            value = record.value
"""),
    )),
    Mutation("ledger", "agents/llm/calls.py", "synthesize: reply in the ledger", 3, (
        ("""
        recorded = await self._ledger.get(tab.call_id)
""", """
        recorded = None
"""),
    )),
    Mutation("sink: ids that return", "sinks/events.py", "SIGKILL one sink", 1, (
        ("""
            if identity in stored:
                continue
""", "\n"),
    )),
    Mutation("reply not recorded", "agents/llm/ledger.py", "synthesize: reply in the ledger", 2, (
        ("""
        given = {"call_id": call_id, "outdated": outdated, **asdict(entry)}
""", """
        return entry.reply
"""),
    )),
    Mutation("no tick", "agents/score.py", "no ticks for a while", 1, (
        ("""
        tp, marks = TP(self.topics.events.name, partition), self.table.marks(partition)
""", """
        return
"""),
    )),
    Mutation("timers not read again", "agents/score.py", "both score killed while windows wait", 1, (
        ("""
                self.timers[partition].put(anima, at)
""", """
                pass
"""),
    )),
)  # fmt: skip


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[GUARD]…", help="Default: all of them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the table.")] = None,
) -> None:
    """Exit code 1 if the absence of a guard went unnoticed."""
    chosen = [one for one in MUTATIONS if not names or one.guard in names]
    if not chosen:
        sys.exit("There are: " + ", ".join(one.guard for one in MUTATIONS))
    _control(chosen)
    noticed = [(one, _noticed(one, f"{number}/{len(chosen)}")) for number, one in enumerate(chosen, 1)]
    table = _table(noticed)
    print(table)
    if out is not None:
        _write(out, table)
    sys.exit(not all(by for _, by in noticed))


def _control(chosen: Sequence[Mutation]) -> None:
    """Ends the process if a run of the same faults finds something though nothing is taken out."""
    runs = list(dict.fromkeys((one.only, one.faults) for one in chosen))
    for number, (only, faults) in enumerate(runs, 1):
        say(f"control {number}/{len(runs)}: {faults} x {only}, nothing taken out")
        code, found = _run(only, faults)
        if code:
            sys.exit(f"{faults} x {only}: exit code {code} though nothing was taken out: {'; '.join(found)}")


def _noticed(mutation: Mutation, number: str) -> str:
    """What a fault run says of a copy without the guard; empty if it finds nothing."""
    say(f"{number}: {mutation.faults} x {mutation.only}, without {mutation.guard}")
    code, found = _run(mutation.only, mutation.faults, mutation)
    say(f"{number}: exit code {code}: {'; '.join(found[:3])}")
    return found[0] if code else ""


def _run(only: str, faults: int, mutation: Mutation | None = None) -> tuple[int, list[str]]:
    """Exit code of a fault run in a copy, and what it says."""
    with tempfile.TemporaryDirectory(prefix="elephantasm-mutant-") as folder:
        Path(folder).chmod(0o755)  # the embedded Postgres runs as a user of its own
        copy = Path(folder) / "checkout"
        _copy(copy)
        if mutation is not None:
            file = copy / mutation.file
            file.write_text(reduce(lambda text, change: text.replace(*change), mutation.changes, file.read_text()))
        command = [sys.executable, "-m", "tests.faults", "--faults", str(faults), "--only", only]
        code, output, errors = _ended(command, copy)
    if " ready; " not in errors:
        sys.exit(f"the stack of the copy did not start\n{errors[-2000:]}")
    return code, findings(output, errors)


def findings(output: str, errors: str) -> list[str]:
    """What the auditor found, then what was not survived; without either, what was said last."""
    audited = [f"auditor: {line.strip()}" for line in output.splitlines() if line.startswith(tuple(MARKS))]
    waited = [line.partition(" s  ")[2] for line in errors.splitlines() if "NOT SURVIVED" in line]
    return audited + waited or errors.strip().splitlines()[-1:] or ["nothing"]


def _ended(command: Sequence[str], folder: Path) -> tuple[int, str, str]:
    """Exit code and output. A run that has not ended within the limit is told to stop what it has started."""
    running = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = running.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        running.terminate()
        output, errors = running.communicate()
    return running.returncode, output, errors


def _copy(to: Path) -> None:
    """What git knows or would, and the broker's jars."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (CHECKOUT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, to / name)
    (to / "build").symlink_to(CHECKOUT / "build")


def _table(noticed: Sequence[tuple[Mutation, str]]) -> str:
    lines = ["| guard taken out | of | faults | noticed by |", "|---|---|---|---|"]
    lines += [
        f"| {one.guard} | {one.file} | {one.faults} x {one.only} | {by[:160].replace('|', '/') or '**nobody**'} |"
        for one, by in noticed
    ]
    return "\n".join(lines) + "\n"


def _write(folder: Path, table: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    on = ", ".join(f"{what} {value}" for what, value in machine(Path(tempfile.gettempdir())).items())
    (folder / f"{now:%Y-%m-%d}-mutations.md").write_text(f"# mutations, {now:%Y-%m-%d %H:%M} UTC\n\n{on}\n\n{table}")


if __name__ == "__main__":
    typer.run(main)
