import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from stack.embedded import Process, Stack, Status
from stack.settings import Settings


def status(settings: Settings, as_json: bool) -> bool:
    """Print it; returns whether the stack is ready."""
    found = Stack(settings).status()
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        _print(found)
    return found.ready


def _print(found: Status) -> None:
    if found.processes:
        table = Table("process", "state", "pid", "uptime", "restarts", "memory", box=None, pad_edge=False)
        for process in found.processes:
            table.add_row(*_row(process))
        Console(highlight=False).print(table)
    print("ready" if found.ready else f"not ready: {found.reason}" if found.processes else found.reason)


def _row(process: Process) -> tuple[str, ...]:
    pid = str(process.pid or "-")
    memory = f"{process.rss_bytes >> 20} MiB"
    return (process.name, process.state, pid, _duration(process.uptime_s), str(process.restarts), memory)


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
