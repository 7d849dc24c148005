"""When a stage stops instead of draining the log into the dead letters. Pure.

One bad producer must not stop a stage, and a wrong release or setting must not bury a log: so a stage goes on until
more than a set share of its latest records fail.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

RUN = 1_000  # latest records that are looked at, or the whole batch at hand where it is larger
LEAST = 100  # fewer say nothing
REASONS = 3


class Tally(NamedTuple):
    """Records of the log, whatever their kind, and how many of them failed."""

    records: int
    failures: int

    def plus(self, other: "Tally") -> "Tally":
        return Tally(self.records + other.records, self.failures + other.failures)

    def mostly_fails(self, limit: float) -> bool:
        return self.failures > limit * self.records


class FailureShare:
    """A sliding run of batches. `past` is the run with which an earlier process stopped, if it did."""

    def __init__(self, limit: float, past: Tally | None = None) -> None:
        self.limit = limit
        self.run = past or Tally(0, 0)
        self.batches = deque([self.run] if self.run.records else [])

    def admits(self, batch: Tally) -> bool:
        """Whether to go on with this batch, which then belongs to the run.

        No if it fails by more than the limit, and so does the run with it, of at least LEAST records; the run then
        stays as it is. A batch that is good again is admitted whatever was before it.
        """
        run = self.run.plus(batch)
        if run.records >= LEAST and batch.mostly_fails(self.limit) and run.mostly_fails(self.limit):
            return False
        if batch.records:
            self.batches.append(batch)
        self.run = run
        while self.batches and self.run.records - self.batches[0].records >= RUN:
            oldest = self.batches.popleft()
            self.run = Tally(self.run.records - oldest.records, self.run.failures - oldest.failures)
        return True


class MostlyFailing(Exception):
    """The stage must stop here: nothing of `batch` may be written, buried or passed. `run` is what was before it."""

    def __init__(self, stage: str, limit: float, run: Tally, batch: Tally, reasons: Sequence[str]) -> None:
        self.run, seen = run, run.plus(batch)
        last = " | ".join(dict.fromkeys(reason[:200] for reason in reasons[-REASONS:]))
        super().__init__(
            f"{stage} stopped: {seen.failures:,} of the last {seen.records:,} records could not be processed, more "
            f"than ELEPHANTASM_FAILURE_SHARE={limit:g} allows. Of the last {batch.records:,} nothing was written and "
            f"nothing put into the dead letters. Last reasons: {last}. Correct what produces them, or upgrade; or set "
            "ELEPHANTASM_FAILURE_SHARE=1, and what fails goes to the dead letters, from where it can be redriven."
        )
