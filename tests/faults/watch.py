"""What the processes of a stack take, sampled while something is done to them."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import psutil

from tests.faults.scene import Scene
from tests.faults.strikes import SERVERS

SAMPLE_S = 5.0
STAGES = ("score", "synthesize", "sink", "index", "embed")
PROGRAMS = (*STAGES, "api", *SERVERS)


class Sample(NamedTuple):
    """Of a program at a moment, in seconds of the monotonic clock: of its largest process. `whole`, for servers alone,
    takes in its children, and counts pages that they share once. Of Kafka's handles, segments of its logs are left out:
    each is open for as long as its records are kept.
    """

    at: float
    rss: int
    whole: int
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
                whole = _whole(process) if program in SERVERS else 0  # it takes long
                handles = process.num_fds() - (_segments(process) if program == "kafka" else 0)
                found.append((process.memory_info().rss, whole, handles))
            except psutil.Error:
                continue
        if found:
            self.samples[program].append(Sample(time.monotonic(), *map(max, zip(*found, strict=True))))

    def growth(self, program: str, what: str, since: float) -> tuple[float, float]:
        """Medians of the first and the last fifth after `since`."""
        values = [getattr(one, what) for one in self.samples[program] if one.at >= since]
        fifth = max(1, len(values) // 5)
        return median(values[:fifth]), median(values[-fifth:])


def _whole(process: psutil.Process) -> int:
    return sum(one.memory_full_info().pss for one in (process, *process.children(recursive=True)))


def _segments(process: psutil.Process) -> int:
    """Not those of deleted files: psutil passes them over."""
    return sum(file.path.endswith(".log") for file in process.open_files())
