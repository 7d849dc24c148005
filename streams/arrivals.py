"""When a record came to a partition, from repeated looks at the partition's end.

A record's own timestamp does not say it: whoever back-fills writes the time at which something happened.
"""

from bisect import bisect_right
from typing import NamedTuple

# Gaps between looks grow with their age: from 15 seconds to a year, about a quarter of it.
MOST_LOOKS = 64


class Look(NamedTuple):
    """At this moment, the next record would have had this offset."""

    at: float
    end: int


def look(looks: list[Look], new: Look) -> None:
    """Add one that is newer than the others. At most MOST_LOOKS are kept, the first among them."""
    if looks and new.end < looks[-1].end:
        looks.clear()  # the topic was made anew
    if len(looks) > 1 and looks[-2].end == looks[-1].end == new.end:
        looks[-1] = new
    else:
        looks.append(new)
    if len(looks) > MOST_LOOKS:
        del looks[min(range(1, MOST_LOOKS), key=lambda number: _gap(looks, number))]


def _gap(looks: list[Look], number: int) -> float:
    """What forgetting this one would leave, relative to how long ago it is."""
    before = looks[number - 1].at
    return (looks[number + 1].at - before) / (looks[-1].at - before)


def arrived(looks: list[Look], offset: int) -> float | None:
    """About when the record at `offset` was appended: between two looks, in proportion. None if it is not there yet.

    The first look's moment for what was there already: it is at least as old.
    """
    after = bisect_right(looks, offset, key=lambda one: one.end)
    if after == len(looks):
        return None
    if after == 0:
        return looks[0].at
    before, then = looks[after - 1], looks[after]
    return before.at + (then.at - before.at) * (offset + 1 - before.end) / (then.end - before.end)
