"""Loaded by supervisord into itself: restarts at once, bounds the pauses after failures, never gives up, counts."""

from collections import Counter
from typing import Any

from supervisor import events

LONGEST_PAUSE_S = 10
LOOK_S = 0.1


class Backoff:
    """supervisord pauses one second more after each failure. Its methods are callable as `backoff.…`."""

    def __init__(self, poller: Any) -> None:
        self.started: Counter[str] = Counter()
        self._wait, poller.poll = poller.poll, self._poll
        events.subscribe(events.ProcessStateStartingEvent, self._count)
        events.subscribe(events.ProcessStateBackoffEvent, self._bound)

    def starts(self) -> dict[str, int]:
        return dict(self.started)

    def _count(self, event: Any) -> None:
        self.started[event.process.config.name] += 1

    def _poll(self, timeout: float) -> Any:
        """supervisord waits for a second before it looks which processes have ended, and for another to start them."""
        return self._wait(min(timeout, LOOK_S))

    def _bound(self, event: Any) -> None:
        event.process.backoff = min(event.process.backoff, LONGEST_PAUSE_S - 1)


def interface(supervisord: Any) -> Backoff:
    return Backoff(supervisord.options.poller)
