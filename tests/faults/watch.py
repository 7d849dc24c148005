"""What the processes of a stack take, sampled while something is done to them."""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from tests.faults.scene import Scene
from tests.faults.strikes import SERVERS

SAMPLE_S = 5.0
PSS = re.compile(r"^(Pss|Pss_Anon): +(\d+) kB$", re.MULTILINE)
STAGES = ("score", "synthesize", "sink", "index", "embed")
PROGRAMS = (*STAGES, "api", *SERVERS)
DATA = {  # what their links end in; that of a deleted file has a word more
    "kafka": re.compile(r".*\.log"),
    "postgres": re.compile(r".*/(base|global|pg_wal|PG_\d+_\d+)/[^ ]*"),
}


class Sample(NamedTuple):
    """Of a program at a moment, in seconds of the monotonic clock: of its largest process. For servers alone:
    `whole` takes in the children, and counts pages that they share once; `own` is that without shared memory and
    mapped files, which fill for as long as there are more data. Postgres' handles are those of all its processes.
    Files of data are left out, unless they are deleted: Kafka keeps each segment of its logs open, and each process of
    Postgres up to a thousand of the tables' and indexes' files that it has read.
    """

    at: float
    rss: int
    whole: int
    own: int
    handles: int


@dataclass
class Watch:
    """What the stack's processes take, sampled."""

    scene: Scene
    samples: defaultdict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))

    async def run(self) -> None:
        while True:
            for program in PROGRAMS:
                self._look(program)
            await asyncio.sleep(SAMPLE_S)

    def _look(self, program: str) -> None:
        found = []
        for running in self.scene.processes(program):
            try:
                process = psutil.Process(running.pid)
                whole, own = _whole(process) if program in SERVERS else (0, 0)  # it takes long
                found.append((process.memory_info().rss, whole, own, handles(program, process)))
            except (psutil.Error, OSError):
                continue
        if found:
            self.samples[program].append(Sample(time.monotonic(), *map(max, zip(*found, strict=True))))

    def growth(self, program: str, what: str, since: float) -> tuple[float, float]:
        """Medians of the first and the last fifth after `since`."""
        values = [getattr(one, what) for one in self.samples[program] if one.at >= since]
        fifth = max(1, len(values) // 5)
        return median(values[:fifth]), median(values[-fifth:])


def _whole(process: psutil.Process) -> tuple[int, int]:
    """With its children, in bytes: all of it, and what is neither shared memory nor a mapped file."""
    whole = own = 0
    for one in (process, *process.children(recursive=True)):
        found = dict(PSS.findall(Path(f"/proc/{one.pid}/smaps_rollup").read_text()))
        whole, own = whole + int(found["Pss"]) * 1024, own + int(found["Pss_Anon"]) * 1024
    return whole, own


def handles(program: str, process: psutil.Process) -> int:
    """That are open, but for data."""
    data = DATA.get(program)
    processes = process.children(recursive=True) if program == "postgres" else []
    return sum(data is None or not data.fullmatch(path) for one in (process, *processes) for path in _open(one.pid))


def _open(pid: int) -> Iterator[str]:
    """What its handles point to. They may be closed meanwhile."""
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield str(handle.readlink())
