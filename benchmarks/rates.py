"""From observations to rates and percentiles. Pure."""

from collections.abc import Sequence
from statistics import quantiles
from typing import NamedTuple

STEPS = 3  # fewer samples do not show a steady state


class Sample(NamedTuple):
    """What was done by a moment, and what CPU time the worker had used."""

    at_s: float
    done: int
    cpu_s: float


class Rates(NamedTuple):
    """Events/s from the first sample to the last, with µs of CPU per event; events/s from process start to the last."""

    steady: float
    wall: float
    cpu_us: float

    def said(self, what: str) -> str:
        return f"{self.steady:,.0f} {what}/s, from process start {self.wall:,.0f}; {self.cpu_us:.1f} µs of CPU each"


def rates(samples: Sequence[Sample], started_s: float) -> Rates:
    """`samples` are the moments at which the number done was seen to have grown, in order; the last one is the end."""
    first, last = samples[0], samples[-1]
    wall = last.done / (last.at_s - started_s)
    if len(samples) < STEPS:  # too coarse to say more
        return Rates(wall, wall, last.cpu_s * 1e6 / last.done)
    done = last.done - first.done
    return Rates(done / (last.at_s - first.at_s), wall, (last.cpu_s - first.cpu_s) * 1e6 / done)


def percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]
