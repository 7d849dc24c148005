"""Items as the sink makes them visible, and a pool on a database of one's own."""

from datetime import UTC, datetime, timedelta

from sinks.items import Item
from streams.positions import anima_of
from tests.sinks.conftest import rows

__all__ = ["rows"]

AT = datetime(2026, 5, 4, 9, tzinfo=UTC)
WORDS = ["heron", "lake", "reed", "winter", "parcel", "courier", "swift", "order", "invoice", "nest"]


def item(seq: int, text: str | None = None, *, key: bytes = b"wren", layer: int = 0, author: str | None = None) -> Item:
    """Two or three words that repeat from item to item."""
    text = text or " ".join(WORDS[(seq * factor) % len(WORDS)] for factor in (1, 3, 3))
    author = author or ("Ines", None, "Ada")[seq % 3]
    session, at = f"s{seq // 50}", AT + timedelta(minutes=seq)
    return Item(anima_of(key), layer, layer, seq, text, author, session, at)
