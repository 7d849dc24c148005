"""What the processes of a stack take, sampled while something is done to them."""

import asyncio
import re
import time
from collections import defaultdict
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


class Sample(NamedTuple):
    """Of a program at a moment, in seconds of the monotonic clock: of its largest process. For servers alone:
    `whole` takes in the children, and counts pages that they share once; `own` is that without shared memory and
    mapped files, which fill for as long as there are more data. Postgres' handles are those of all its processes. Of
    Kafka's, segments of its logs are left out: each is open for as long as its records are kept.
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
                found.append((process.memory_info().rss, whole, own, _handles(program, process)))
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


def _handles(program: str, process: psutil.Process) -> int:
    if program == "postgres":  # a client's process may end meanwhile: this sample is left out, like one of memory
        return sum(one.num_fds() for one in (process, *process.children(recursive=True)))
    return process.num_fds() - (_segments(process) if program == "kafka" else 0)


def _segments(process: psutil.Process) -> int:
    """Not those of deleted files: psutil passes them over."""
    return sum(file.path.endswith(".log") for file in process.open_files())
