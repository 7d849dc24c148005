"""The only way from bytes on a topic to a record. Pure; property-tested never to raise anything but Undecodable."""

from functools import lru_cache
from typing import Protocol, TypeVar
from uuid import UUID

import orjson
from pydantic import ValidationError

from streams.kafka import partition_of
from streams.positions import InvalidKey, anima_of
from streams.records import SCHEMA_VERSION, Configure, Event, Recall, Record, Tick

VALUE_BYTES = 500_000
LogRecord = Event | Configure | Recall | Tick
R = TypeVar("R", bound=Record)
KINDS: dict[str, type[LogRecord]] = {"event": Event, "configure": Configure, "recall": Recall, "tick": Tick}


class Undecodable(ValueError):
    """A record for the dead letters; the message is the reason."""


class RawRecord(Protocol):
    """What we use of aiokafka's ConsumerRecord."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    timestamp: int


Decoded = tuple[UUID | None, LogRecord]
"""Whose it is, None for a tick's, and the record. A plain tuple: one is made for every event."""


def decode(raw: RawRecord, partitions: int) -> Decoded:
    """One record of the log. Raises Undecodable."""
    value = raw.value
    if value is None:
        raise Undecodable("the value is null; the log is never compacted, so a null means nothing")
    if len(value) > VALUE_BYTES:
        raise Undecodable(f"the value has {len(value):,} bytes, more than {VALUE_BYTES:,}")
    try:
        event = Event.__pydantic_validator__.validate_json(value)
    except ValidationError as error:
        other = _other_kind(value, error)
        if isinstance(other, Tick):
            return None, other
        return _home(raw.key, raw.partition, other.anima_id, partitions), other
    return _home(raw.key, raw.partition, event.anima_id, partitions), event


@lru_cache(maxsize=65_536)
def _home(key: bytes | None, partition: int, claimed: UUID | None, partitions: int) -> UUID:
    try:
        anima = anima_of(key)
    except InvalidKey as error:
        raise Undecodable(str(error)) from None
    if claimed is not None and claimed != anima:
        raise Undecodable(f"anima_id {claimed} disagrees with the key, which names {anima}")
    home = partition_of(key or b"", partitions)
    if partition != home:
        raise Undecodable(
            f"the key belongs to partition {home}, not {partition}: use Kafka's default partitioner (murmur2; "
            "in librdkafka partitioner=murmur2_random)"
        )
    return anima


def _other_kind(value: bytes, error: ValidationError) -> Configure | Recall | Tick:
    """The record if it is not an event but something else that we know; otherwise the clearest reason."""
    try:
        data = orjson.loads(value)
    except orjson.JSONDecodeError as reason:
        raise Undecodable(f"not JSON: {reason}") from None
    if not isinstance(data, dict):
        raise Undecodable(f"JSON, but no object: {type(data).__name__}")
    version = data.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise Undecodable(
            f"schema_version {version} is newer than {SCHEMA_VERSION}, the newest that this release reads"
        )
    kind = data.get("kind", "event")
    if kind == "event":
        raise Undecodable(explain(error))
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        shown = repr(kind[:80]) if isinstance(kind, str) else f"of type {type(kind).__name__}"
        raise Undecodable(f"unknown kind {shown}; known are {', '.join(KINDS)}")
    try:
        record = model.model_validate(data)
    except ValidationError as reason:
        raise Undecodable(explain(reason)) from None
    assert not isinstance(record, Event)
    return record


def read(model: type[R], raw: RawRecord) -> R:
    """A record of a derived topic. Raises Undecodable."""
    try:
        return model.model_validate_json(raw.value or b"")
    except ValidationError as error:
        raise Undecodable(explain(error)) from None


def explain(error: ValidationError) -> str:
    """Field and reason of every fault, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'value'}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors(include_url=False, include_input=False)[:5]
    )
