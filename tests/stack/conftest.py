"""Stacks of these tests' own: they are killed on purpose, so the session's stack is not used."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from stack.embedded import Process, Stack
from stack.environment import variables
from stack.settings import Settings
from stack.waiting import until
from tests.conftest import stack_settings

LIMIT_S = 60.0


def settings_in(folder: Path, **others: object) -> Settings:
    """As small as a stack can be."""
    return stack_settings(folder, api_processes=1, **others)


def elephantasm(settings: Settings, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-m", "stack.cli", *arguments]
    values = {**os.environ, **variables(settings), **environment}
    return subprocess.run(command, env=values, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def process(stack: Stack, name: str) -> Process:
    return next(each for each in stack.status().processes if each.name == name)


class Foreground:
    """`elephantasm up` as a person has it before them."""

    def __init__(self, settings: Settings) -> None:
        self.stack = Stack(settings)
        self.lines: list[str] = []
        command = [sys.executable, "-m", "stack.cli", "up"]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **variables(settings)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,  # as a shell gives a command, for Ctrl-C to reach all of it and nothing else
            # Whoever runs the tests in the background ignores Ctrl-C, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.reader = Thread(target=self._read, daemon=True)
        self.reader.start()

    def says(self, *words: str) -> bool:
        """Whether a line with all of `words` comes before the limit."""
        return until(lambda: any(all(word in line for word in words) for line in list(self.lines)), LIMIT_S)

    def ends(self) -> int:
        code = self.process.wait(LIMIT_S)
        self.reader.join(LIMIT_S)
        return code

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


@pytest.fixture(scope="module")
def foreground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreground]:
    """A stack that `elephantasm up` started and watches; whatever a test did to it, nothing of it is left."""
    running = Foreground(settings_in(tmp_path_factory.mktemp("foreground")))
    try:
        assert running.says("Ctrl-C stops it"), running.lines
        yield running
    finally:
        if running.process.poll() is None:
            running.process.terminate()
            running.ends()
        running.stack.stop()
