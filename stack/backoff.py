"""Loaded by supervisord into itself: bounds the pause between restarts, never gives up, counts the starts."""

from collections import Counter
from typing import Any

from supervisor import events

LONGEST_PAUSE_S = 10


class Backoff:
    """supervisord pauses one second more after each failure. Its methods are callable as `backoff.…`."""

    def __init__(self) -> None:
        self.started: Counter[str] = Counter()
        events.subscribe(events.ProcessStateStartingEvent, self._count)
        events.subscribe(events.ProcessStateBackoffEvent, self._bound)

    def starts(self) -> dict[str, int]:
        return dict(self.started)

    def _count(self, event: Any) -> None:
        self.started[event.process.config.name] += 1

    def _bound(self, event: Any) -> None:
        event.process.backoff = min(event.process.backoff, LONGEST_PAUSE_S - 1)


def interface(supervisord: Any) -> Backoff:
    return Backoff()
