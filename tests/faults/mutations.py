"""`python -m tests.faults.mutations`: takes one guard after the other out of a scratch copy; a fault run must notice.

A guard whose absence nobody notices is either not needed or not tested.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from stack.jars import CHECKOUT

LIMIT_S = 900


class Mutation(NamedTuple):
    """`old` stands in `file` once and becomes `new`; `only` are the faults that this guard is there for."""

    guard: str
    file: str
    old: str
    new: str
    only: str
    faults: int


MUTATIONS = (
    Mutation("offset guard", "tables/accumulation.py", """
    if offset <= state.absorbed:
        return state, ()
    rule, window = state.rule(defaults), state.window
""", """
    rule, window = state.rule(defaults), state.window
""", "score: states delivered", 3),
    Mutation("late acknowledgement", "agents/score.py", """
            await self.room.acquire()
""", """
            batch.ack()
            await self.room.acquire()
""", "score: triggers delivered, states not in the table", 3),
    Mutation("lossless seek", "streams/lossless.py", """
        self.stop_flow()  # the recovery calls resume_flow() right after this returns
        epoch = self.epoch
        await self.idle.wait()
        self._committed_offset.clear()
        await super().perform_seek()
""", """
        await super().perform_seek()
        self.sought = type("Always", (int,), {"__ne__": lambda *_: False})()
        return
""", "rolling restart of score", 4),
    Mutation("window claim", "sinks/windows.py", """
        first_seq = last["last_seq"] + 1 if last else 0
""", """
        first_seq = 0
""", "synthesize: window claimed", 2),
    Mutation("a claim is given again", "sinks/windows.py", """
            return await _again(connection, generation, trigger)
""", """
            return None
""", "synthesize: window claimed", 2),
    Mutation("compare-and-set in the sink", "sinks/sql/progress_advance.sql", """
    WHERE p.next_offset = (SELECT m.expected FROM move AS m WHERE (m.topic, m.partition) = (p.topic, p.partition))
""", "\n", "frozen at sink: changes of animas ready", 2),
    Mutation("the state that reaches furthest", "tables/store.py", """
            value = record.value if known is None else furthest(key, known, record.value)
""", """
            value = record.value
""", "frozen at score", 4),
    Mutation("ledger", "agents/llm/calls.py", """
        recorded = await self._ledger.get(tab.call_id)
""", """
        recorded = None
""", "synthesize: reply in the ledger", 3),
    Mutation("sink: ids that return", "sinks/events.py", """
            if identity in stored:
                continue
""", "\n", "SIGKILL one sink", 1),
)  # fmt: skip


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[GUARD]…", help="Default: all of them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the table.")] = None,
) -> None:
    """Exit code 1 if the absence of a guard went unnoticed."""
    chosen = [one for one in MUTATIONS if not names or one.guard in names]
    if not chosen:
        sys.exit("There are: " + ", ".join(one.guard for one in MUTATIONS))
    noticed = [(one, _noticed(one)) for one in chosen]
    table = _table(noticed)
    print(table)
    if out is not None:
        (out / f"{datetime.now(UTC):%Y-%m-%d}-mutations.md").write_text(table)
    sys.exit(not all(by for _, by in noticed))


def _noticed(mutation: Mutation) -> str:
    """What a fault run says of a copy without the guard; empty if it finds nothing."""
    with tempfile.TemporaryDirectory(prefix="elephantasm-mutant-") as folder:
        Path(folder).chmod(0o755)  # the embedded Postgres runs as a user of its own
        copy = Path(folder) / "checkout"
        _copy(copy)
        file = copy / mutation.file
        file.write_text(file.read_text().replace(mutation.old, mutation.new))
        command = [sys.executable, "-m", "tests.faults", "--faults", str(mutation.faults), "--only", mutation.only]
        code, output, errors = _ended(command, copy)
    if " ready; " not in errors:
        sys.exit(f"{mutation.guard}: the stack of the copy did not start\n{errors[-2000:]}")
    found = [line.strip() for line in output.splitlines() if line.startswith("  ") and ": " in line]
    found += [line.partition("  ")[2] for line in errors.splitlines() if "NOT SURVIVED" in line]
    print(f"{mutation.guard}: exit code {code}", *found[:3], sep="\n  ", file=sys.stderr, flush=True)
    if code == 0:
        return ""
    return found[0] if found else errors.strip().splitlines()[-1]


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
    """What git knows, and the broker's jars."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
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


if __name__ == "__main__":
    typer.run(main)
