"""A worker of a stage whose wall clock jumps to and fro: `python -m tests.faults.jumped SECONDS STAGE`.

Python's `time.time` alone, which is what ticks are written by; clocks that C reads (Kafka's default timestamps) stay.
"""

import sys
import time
from collections.abc import Callable

PERIOD_S = 5


def jumping(true: Callable[[], float], seconds: float) -> Callable[[], float]:
    """Right for `PERIOD_S`, then wrong by so many seconds for as long, and so on."""
    return lambda: true() + (seconds if int(true() / PERIOD_S) % 2 else 0)


def main(seconds: str, stage: str) -> None:
    time.time = jumping(time.time, float(seconds))
    from stack.environment import configured
    from stack.stage import run

    run(stage, configured())


if __name__ == "__main__":
    main(*sys.argv[1:])
