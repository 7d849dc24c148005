"""What a killed stack left running: known by the mark in its environment.

Postgres overwrites its environment with its title, and is known by its working directory. Its backends outlive a killed
postmaster for a moment, and as long as one does no new postmaster starts. For them the signal means: cancel the query.
"""

import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from signal import Signals

import psutil

from stack.directory import DataDirectory
from stack.errors import StackError
from stack.processes import MARK

# As the process manager would: whoever writes first, the servers last. It ends its own children in order if it can.
ORDER: tuple[tuple[str, Signals], ...] = (
    ("supervisor.supervisord", signal.SIGTERM),
    ("stack.cli", signal.SIGTERM),
    ("kafka.Kafka", signal.SIGTERM),
    ("postgres", signal.SIGINT),
)
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Leftover:
    process: psutil.Process
    kind: str


def stop(directory: DataDirectory) -> int:
    """End them, forcibly if they do not end themselves; returns how many there were. Raises StackError."""
    found = list(leftovers(directory))
    for kind, how in ORDER:
        _end([left.process for left in found if left.kind == kind], how)
    still = list(leftovers(directory))
    if still:
        names = ", ".join(f"{left.kind} (pid {left.process.pid})" for left in still)
        raise StackError(
            f"An earlier stack in {directory.path} left processes that cannot be ended: {names}. End them."
        )
    (directory.postgres / "postmaster.pid").unlink(missing_ok=True)
    return len(found)


def leftovers(directory: DataDirectory) -> Iterator[Leftover]:
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres":
                if process.cwd() == str(directory.postgres.resolve()):
                    yield Leftover(process, "postgres")
            elif process.environ().get(MARK) == str(directory.path):
                yield Leftover(process, _kind(process.cmdline()))
        except psutil.Error:
            continue  # gone, or another user's


def _kind(command: list[str]) -> str:
    for kind, _ in ORDER:
        if kind in command:
            return kind
    return "stack.cli"  # a process that a stage started


def _end(processes: list[psutil.Process], how: Signals) -> None:
    for process in processes:
        _signal(process, how)
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_S)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=PATIENCE_S)


def _signal(process: psutil.Process, how: Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(how)
