"""Where a record stands, and the ids that are derived from it."""

import hashlib
import re
from typing import NamedTuple, Self
from uuid import UUID, uuid5

KEY_CHARACTERS = 200
_VARIANT = {f"{digit:x}": f"{digit & 0b11 | 0b1000:x}" for digit in range(16)}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class InvalidKey(ValueError):
    """A record key that names no anima."""


class Position(NamedTuple):
    """Topic, partition, offset; as text `topic/partition/offset`, which is what `after` takes."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError unless `text` is a position."""
        match = re.fullmatch(r"([a-zA-Z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})", text)
        if match is None:
            raise ValueError(f"{text[:80]!r} is not a position such as elephantasm.events/3/1042")
        return cls(match[1], int(match[2]), int(match[3]))


def anima_of(key: bytes | None) -> UUID:
    """The anima that a key names: a UUID names itself, any other text derives a UUID version 8 (RFC 9562, 5.8).

    A version 8 UUID is refused as a key: the anima behind it lives in the partition of its own text, and a second
    spelling of one anima would break the order of its log. Raises InvalidKey.
    """
    if not key:
        raise InvalidKey("the record has no key; the key names the anima")
    try:
        text = key.decode()
    except UnicodeDecodeError:
        raise InvalidKey("the key is not UTF-8") from None
    if len(text) > KEY_CHARACTERS or "\x00" in text or text.isspace():
        raise InvalidKey(f"the key must be 1 to {KEY_CHARACTERS} characters without NUL")
    if not _UUID.fullmatch(text):
        return _derived(key)
    if text != text.lower():
        raise InvalidKey("a UUID as key must be written in lower case")
    anima = UUID(text)
    if anima.version == 8:
        raise InvalidKey("this id is derived from a text key: publish under that text instead")
    return anima


def _derived(key: bytes) -> UUID:
    digest = int.from_bytes(hashlib.sha256(b"elephantasm anima\x00" + key).digest()[:16])
    return UUID(int=digest & ~(0xF << 76) & ~(0b11 << 62) | 8 << 76 | 0b10 << 62)


def event_id(anima: UUID, partition: int, offset: int, dedupe_key: str | None) -> UUID:
    """Derived from the dedupe key where there is one, so that whoever repeats an event names the same event."""
    return UUID(event_hex(anima.bytes, partition, offset, dedupe_key))


def event_hex(anima: bytes, partition: int, offset: int, dedupe_key: str | None) -> str:
    """The same id in 32 hex digits: a UUID version 5 (RFC 9562, 5.5), without the cost of the object."""
    name = f"dedupe/{dedupe_key}" if dedupe_key is not None else f"{partition}/{offset}"
    digest = hashlib.sha1(anima + name.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:12]}5{digest[13:16]}{_VARIANT[digest[16]]}{digest[17:32]}"


def window_id(anima: UUID, partition: int, first_offset: int, last_offset: int) -> UUID:
    return uuid5(anima, f"{partition}/{first_offset}-{last_offset}")
