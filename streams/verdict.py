"""Burrow's verdict on a group in one partition: what was seen over a sliding window decides, and no threshold.

The rules and their order are those of github.com/linkedin/Burrow, `core/internal/evaluator/caching.go`. There a window
holds commits; here it holds looks at the group's offset, because our stages commit only when they advance and a commit
that changes nothing is never seen. docs/decisions/0015-lag.md says what follows from that.
"""

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple


class Verdict(StrEnum):
    """In the order of severity, as Burrow has it."""

    OK = "OK"
    WARN = "WARN"
    STOP = "STOP"
    STALL = "STALL"
    REWIND = "REWIND"


class Seen(NamedTuple):
    """One look. `next` is where the group goes on: its committed offset, or the partition's beginning before one."""

    at: float
    next: int
    end: int

    @property
    def lag(self) -> int:
        return max(0, self.end - self.next)


def verdict(seen: Sequence[Seen], now: float, window_s: float, *, attended: bool) -> Verdict:
    """On what was `seen` in the last `window_s` seconds, in order of time; `attended`: the group has members now.

    - OK: nothing left to do at any one moment, or nothing of the below
    - REWIND: the offset went backwards
    - STALL: the offset has not moved in the whole window, and somebody is there
    - STOP: the same, and nobody is there
    - WARN: the offset moves, and the lag has not fallen from any look to the next

    Only REWIND is said before there is a window's worth to judge by: until then the rest is OK so far.
    """
    looks = window(seen, now - window_s)
    if not looks or any(look.lag == 0 for look in looks):
        return Verdict.OK
    if any(later.next < earlier.next for earlier, later in pairwise(looks)):
        return Verdict.REWIND
    if complete(looks, now, window_s) < 1:
        return Verdict.OK
    if looks[0].next == looks[-1].next:
        return Verdict.STALL if attended else Verdict.STOP
    if all(later.lag >= earlier.lag for earlier, later in pairwise(looks)):
        return Verdict.WARN
    return Verdict.OK


def window(seen: Sequence[Seen], start: float) -> Sequence[Seen]:
    """What tells of the time from `start` on: the last look until then, and all later ones."""
    first = next((number for number, look in enumerate(seen) if look.at > start), len(seen))
    return seen[max(0, first - 1) :]


def complete(seen: Sequence[Seen], now: float, window_s: float) -> float:
    """The share of the window, between 0 and 1, that was watched."""
    return min(1.0, (now - seen[0].at) / window_s) if seen else 0.0


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Of a group: that of its partition which is worst off."""
    return max(verdicts, key=list(Verdict).index, default=Verdict.OK)
