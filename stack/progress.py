"""What a person sees while the stack works: a line for what takes longer than two seconds.

`python -m stack.progress TEXT ARGUMENTS` shows it while Python runs with these arguments: the Makefile does so for pip.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Thread
from typing import Protocol, TextIO

QUIET_S = 2.0
REPEAT_S = 10.0


class Progress(Protocol):
    def step(self, text: str) -> AbstractContextManager[None]: ...
    def say(self, text: str) -> None: ...


class Silent:
    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        yield

    def say(self, text: str) -> None:
        pass


class Lines:
    """For pipes and logs: one line after two seconds, then one every ten."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        done = Event()
        reporter = Thread(target=self._report, args=(text, done), daemon=True)
        reporter.start()
        try:
            yield
        finally:
            done.set()
            reporter.join()

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def _report(self, text: str, done: Event) -> None:
        started = time.monotonic()
        wait = QUIET_S
        while not done.wait(wait):
            self.say(f"{text} … {time.monotonic() - started:.0f} s")
            wait = REPEAT_S


class Spinner:
    """For a terminal: a line that turns while the step lasts."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        with self.console.status(f"{text} …"):
            yield

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)


def progress() -> Progress:
    """Progress goes to standard error: standard output is the answer."""
    return Spinner() if sys.stderr.isatty() else Lines(sys.stderr)


def main(text: str, *arguments: str) -> int:
    """The exit code. Needs nothing that is not part of Python."""
    with Lines(sys.stderr).step(text):
        try:
            return subprocess.call([sys.executable, *arguments])  # noqa: S603  the Makefile's own
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
