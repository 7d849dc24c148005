import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from stack.embedded import Stack
from stack.errors import StackError
from stack.postgres import embedded_dsn
from stack.progress import Progress, progress
from stack.readiness import api_address
from stack.settings import Settings

WATCH_S = 0.5
# What supervisord's log says about a process that ended or came back, as opposed to its bookkeeping.
NOTABLE = re.compile(r" (exited: .*|spawned: .*|spawnerr: .*|killing .*)$")


def up(settings: Settings, detach: bool) -> None:
    show = progress()
    stack = Stack(settings, show)
    # A closed terminal and an init system's stop are the same as Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    try:
        fresh = stack.start()
    except KeyboardInterrupt:
        raise StackError("Interrupted; nothing is left running.") from None
    if not fresh:
        print(f"already running\n{_places(stack)}")
        return
    print(f"ready in {time.monotonic() - started:.1f} s\n{_places(stack)}", flush=True)
    if not detach:
        _stay(stack, show)


def _places(stack: Stack) -> str:
    settings, directory = stack.settings, stack.directory
    rows = {
        "API": f"http://{api_address(settings)}:{settings.api_port}/api",
        "Kafka": settings.kafka or f"127.0.0.1:{settings.kafka_port}",
        "PostgreSQL": "as ELEPHANTASM_DATABASE says" if settings.database else embedded_dsn(settings),
        "data": str(directory.path),
        "logs": str(directory.logs),
    }
    return "\n".join(f"  {name:<11}{where}" for name, where in rows.items())


def _stay(stack: Stack, show: Progress) -> None:
    log = stack.directory.logs / "supervisord.log"
    lines = _follow(log, log.stat().st_size)
    show.say("Ctrl-C stops it")
    try:
        while stack.running():
            for line in lines:
                if not line:
                    break
                _report(line, show)
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        stack.stop()
        show.say("stopped")
        return
    if stack.supervisor.pid_file.exists():
        raise StackError(f"The process manager of {stack.directory.path} was killed. `elephantasm up` starts it again.")
    show.say("stopped from elsewhere")


def _follow(log: Path, position: int) -> Iterator[str]:
    """Whole lines as they are written, an empty one when there is none yet; the log may be rotated."""
    while True:
        if log.stat().st_size < position:
            position = 0
        with log.open() as file:
            file.seek(position)
            while (line := file.readline()).endswith("\n"):
                position = file.tell()
                yield line.rstrip("\n")
        yield ""


def _report(line: str, show: Progress) -> None:
    found = NOTABLE.search(line)
    if found:
        show.say(f"{line[11:19]} {found[1]}")


def down(settings: Settings) -> None:
    stopped = Stack(settings, progress()).stop()
    print("stopped" if stopped else "not running", file=sys.stdout)
