"""Redriven records: the key and bytes of a dead letter once more on the topic they came from, saying so in headers.

The log is the truth of what was redriven: whoever reads it anew, or rebuilds Postgres from it, meets the same records
at the same positions. A redriven record keeps the identity of its first attempt, so that one that was sent twice, by a
crash between sending and noting it, is one event all the same.
"""

from typing import NamedTuple, Protocol

from streams.positions import Position

Headers = list[tuple[str, bytes]]


class Placed(Protocol):
    """What we use of aiokafka's ConsumerRecord."""

    topic: str
    headers: tuple[tuple[str, bytes | None], ...]


class Attempt(NamedTuple):
    """Where a record stood the first time that it was tried, and which try this is."""

    first: Position
    number: int

    def headers(self) -> Headers:
        return [("redrive-of", str(self.first).encode()), ("attempts", str(self.number).encode())]


def redriven(record: Placed) -> Attempt | None:
    """None for a record's first attempt. Headers of these names that are not ours count for nothing."""
    if not record.headers:
        return None
    found = {name: value or b"" for name, value in record.headers}
    try:
        first, number = Position.parse(found["redrive-of"].decode()), int(found["attempts"])
    except (KeyError, ValueError):
        return None
    return Attempt(first, number) if first.topic == record.topic and 1 < number < 2**31 else None
