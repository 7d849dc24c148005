"""When to poll again. A batch costs the same however little is in it: what comes within a moment is one batch."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

P = TypeVar("P")
MANY = 1_000
LULL_S = 0.1  # where no reader waits for rows


def read_to_the_end(polled: Mapping[P, Sequence[Any]], end: Callable[[P], int | None]) -> bool:
    """Whether these are few records, and the last of their partitions, so that nothing is to be hurried for. `end` is
    what follows on a partition's last record; None where that is not known. Many records are a backlog: of other
    partitions there may be more.
    """
    return 0 < sum(map(len, polled.values())) < MANY and all(
        (known := end(partition)) is not None and records[-1].offset + 1 >= known
        for partition, records in polled.items()
    )


class Polled(Protocol):
    """What we use of a consumer, ours or aiokafka's."""

    def assignment(self) -> Any: ...
    def highwater(self, partition: Any, /) -> int | None: ...


class Lull:
    """Lasts so many seconds from a poll that read to the end. What comes after a longer silence is not kept waiting."""

    def __init__(self, seconds: float = LULL_S) -> None:
        self.seconds, self.until = seconds, 0.0

    def after(self, polled: Mapping[P, Sequence[Any]], consumer: Polled) -> None:
        """Begins if there is nothing to be hurried for. A partition that has just gone has no end that is known."""
        ours = consumer.assignment()
        if read_to_the_end(polled, lambda partition: consumer.highwater(partition) if partition in ours else None):
            self.until = time.monotonic() + self.seconds

    async def end(self) -> None:
        """Returns when it has ended."""
        await asyncio.sleep(max(0.0, self.until - time.monotonic()))
