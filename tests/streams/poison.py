"""Records that nobody can use, by what is wrong with them, each with words of the reason that must be given."""

from typing import NamedTuple
from uuid import UUID

from streams.kafka import partition_of
from streams.positions import anima_of

PARTITIONS = 8
WREN, OWN_ID = b"wren", b"0190a8f0-7c3b-7d4e-9a51-2f6b1c0d4e5f"
X = '"content": "x"'
RECALL = b'{"kind": "recall", "generation": 1, "preset": "p", "token_count": 0, "content": "", "items": []'
GOOD = b'{"event_type": "message.in", "content": "The courier changed."}'


class Poison(NamedTuple):
    """`partition` None: the key's own."""

    reason: str
    value: bytes | None = GOOD
    key: bytes | None = WREN
    partition: int | None = None

    @property
    def stands_in(self) -> int:
        if self.partition is not None:
            return self.partition
        return partition_of(self.key or b"", PARTITIONS)


def _event(fields: str) -> bytes:
    return f'{{"event_type": "message.in", {fields}}}'.encode()


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


POISON: dict[str, Poison] = {
    "no JSON": Poison("not JSON", b"hello"),
    "an empty value": Poison("not JSON", b""),
    "bytes": Poison("not JSON", bytes(range(256))),
    "half a record": Poison("not JSON", GOOD[:-10]),
    "JSON, but a list": Poison("no object: list", b"[1, 2]"),
    "JSON, but null": Poison("no object: NoneType", b"null"),
    "JSON, but no event": Poison("event_type: Field required", b'{"temperature": 21}'),
    "no content": Poison("content: Field required", b'{"event_type": "message.in"}'),
    "blank content": Poison("content: is empty", _event('"content": "  "')),
    "content of another type": Poison("content: Input should be a valid string", _event('"content": 5')),
    "a type with blanks": Poison("event_type", b'{"event_type": "message in", "content": "x"}'),
    "a null value": Poison("value is null", None),
    "neither key nor value": Poison("value is null", None, None, 1),
    "no key": Poison("no key", key=None, partition=2),
    "an empty key": Poison("no key", key=b""),
    "a key that is not UTF-8": Poison("not UTF-8", key=b"\xff\xfe"),
    "a key with NUL": Poison("without NUL", key=b"a\x00b"),
    "a key too long": Poison("1 to 200 characters", key=b"x" * 201),
    "a key in upper case": Poison("lower case", key=OWN_ID.upper()),
    "a derived id as key": Poison("derived from a text key", key=str(anima_of(WREN)).encode()),
    "a body that names another anima": Poison("disagrees with the key", _event(f'{X}, "anima_id": "{UUID(int=7)}"')),
    "the wrong partition": Poison("default partitioner", partition=(partition_of(WREN, PARTITIONS) + 1) % PARTITIONS),
    "a megabyte of content": Poison("more than 500,000", _event(f'"content": "{"x" * 1_000_000}"')),
    "content a little too long": Poison("at most 100000", _event(f'"content": "{"x" * 100_001}"')),
    "an unknown kind": Poison("unknown kind 'erupt'", b'{"kind": "erupt"}'),
    "a kind that is no text": Poison("unknown kind of type list", b'{"kind": ' + _nested(1_000) + b"}"),
    "a newer schema": Poison("schema_version 2 is newer", _event('"content": "x", "schema_version": 2')),
    "NUL in the content": Poison("content: contains NUL", _event(r'"content": "a\u0000b"')),
    "NUL in meta": Poison("meta: contains NUL", _event(r'"content": "x", "meta": {"a": ["\u0000"]}')),
    "a raw NUL": Poison("not JSON", b'{"event_type": "message.in", "content": "a\x00b"}'),
    "half a surrogate pair": Poison("not JSON", _event(r'"content": "\ud83d"')),
    "half a surrogate pair in meta": Poison("not JSON", _event(r'"content": "x", "meta": {"a": "\udc00"}')),
    "meta too deep": Poison("not JSON", _event('"content": "x", "meta": {"a": ' + _nested(2_000).decode() + "}")),
    "meta too large": Poison("more than 64,000", _event(f'"content": "x", "meta": {{"a": "{"x" * 64_000}"}}')),
    "meta with a number beyond 64 bits": Poison("meta: is not JSON", _event(f'{X}, "meta": {{"a": {10**30}}}')),
    "the year 1900": Poison("between 1970 and 2100", _event('"content": "x", "occurred_at": "1900-01-01T00:00:00Z"')),
    "the year 2100": Poison("between 1970 and 2100", _event('"content": "x", "occurred_at": "2100-01-01T00:00:00Z"')),
    "a time without zone": Poison("timezone", _event('"content": "x", "occurred_at": "2026-01-01T00:00:00"')),
    "importance out of range": Poison("importance_score", _event('"content": "x", "importance_score": 1.5')),
    "importance as a text": Poison("importance_score: Input", _event(f'{X}, "importance_score": "0.5"')),
    "a time as a number": Poison("occurred_at: is not a time", _event(f'{X}, "occurred_at": 1780000000')),
    "a time as a number in a text": Poison("occurred_at: is not a time", _event(f'{X}, "occurred_at": "1780000000"')),
    "a schema that is true": Poison("schema_version: Input", _event(f'{X}, "schema_version": true')),
    "weights out of range": Poison("weights.threshold", b'{"kind": "configure", "weights": {"time_weight": 1, '
                                   b'"event_weight": 1, "token_weight": 0, "threshold": 0.5}}'),
    "a count beyond 31 bits": Poison("max_tokens", RECALL + b', "max_tokens": 2147483648, "pack_id": "%064d"}' % 0),
}  # fmt: skip
