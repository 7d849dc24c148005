"""What stands on the topics: one frozen class per noun, the same in HTTP bodies, Kafka values and rows."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

SCHEMA_VERSION = 1
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
CONTENT_CHARACTERS = 100_000
META_BYTES = 64_000
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # in JSON: not an escaped backslash before the letter u


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains NUL, which PostgreSQL cannot store")
    return text


def _said(text: str) -> str:
    if not text or text.isspace():
        raise ValueError("is empty")
    return _no_nul(text)


def _moment(value: Any, parse: ValidatorFunctionWrapHandler) -> datetime:
    # pydantic takes numbers, as texts too, for seconds since 1970, or milliseconds if they are large.
    if not isinstance(value, datetime) and not (isinstance(value, str) and value[4:5] == "-"):
        raise ValueError("is not a time as 2026-11-21T09:30:00Z")
    moment: datetime = parse(value)
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must lie between 1970 and 2100")
    return moment


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


Text = Annotated[str, AfterValidator(_no_nul)]
# Limits stand before the function, where pydantic checks them itself instead of calling Python for each.
Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_no_nul)]
Moment = Annotated[AwareDatetime, WrapValidator(_moment)]
# Strict: "0.5" and true are no numbers.
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
Offset = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
SchemaVersion = Annotated[int, Field(strict=True, ge=1, le=SCHEMA_VERSION)]


class Record(BaseModel):
    """A Kafka value. Unknown fields are ignored, so that producers may be ahead of us within one schema version."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="ignore")

    def value(self) -> bytes:
        """The bytes that go to Kafka."""
        return self.model_dump_json(exclude_none=True).encode()


class Event(Record):
    """One piece of telemetry. A foreign producer needs only event_type and content."""

    kind: Literal["event"] = "event"
    schema_version: SchemaVersion = SCHEMA_VERSION
    anima_id: UUID | None = Field(None, description="Must agree with the record's key; producers may leave it out.")
    event_type: str = Field(
        max_length=64,
        pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        description="message.in, message.out, tool.call, tool.result, system, or any dotted name.",
        examples=["message.in"],
    )
    content: Annotated[str, Field(max_length=CONTENT_CHARACTERS), AfterValidator(_said)] = Field(
        examples=["The courier changed to Swift Parcel on Monday."]
    )
    role: Label | None = None
    author: Label | None = Field(None, examples=["Ines"])
    session_id: Label | None = Field(None, examples=["2026-05-04/standup"])
    occurred_at: Moment | None = Field(None, description="When it happened; left out: the record's timestamp.")
    meta: dict[str, Any] | None = Field(None, description="Any JSON object up to 64,000 bytes.")
    source_uri: Annotated[Text, Field(max_length=2000)] | None = None
    dedupe_key: Label | None = Field(None, description="Two events of one anima with the same key are one event.")
    importance_score: Share | None = None

    @field_validator("meta")
    @classmethod
    def _storable(cls, meta: dict[str, Any] | None) -> dict[str, Any] | None:
        if meta is None:
            return None
        try:
            size = orjson.dumps(meta)
        except (TypeError, orjson.JSONEncodeError) as error:
            raise ValueError(f"is not JSON: {error}") from None
        if len(size) > META_BYTES:
            raise ValueError(f"has {len(size):,} bytes, more than {META_BYTES:,}")
        if _ESCAPED_NUL.search(size):
            raise ValueError("contains NUL, which PostgreSQL cannot store")
        if b"null" in size and not _finite(meta):  # orjson writes NaN and Infinity as null
            raise ValueError("contains NaN or Infinity, which are not JSON")
        return meta


class Weights(Record):
    """Accumulation weights of one anima (ranges: shared seed, section 1)."""

    time_weight: Annotated[Number, Field(ge=0, le=5)] = Field(
        description="Score per hour since the first pending event."
    )
    event_weight: Annotated[Number, Field(ge=0, le=2)] = Field(description="Score per pending event.")
    token_weight: Annotated[Number, Field(ge=0, le=0.001)] = Field(description="Score per pending token.")
    threshold: Annotated[Number, Field(ge=1, le=50)] = Field(description="Score at which a window is synthesised.")


class Configure(Record):
    """A change of an anima's settings. Fields left out stay as they are; `weights: null` returns to the defaults."""

    kind: Literal["configure"] = "configure"
    schema_version: SchemaVersion = SCHEMA_VERSION
    anima_id: UUID | None = None
    name: Label | None = None
    description: Annotated[Text, Field(max_length=2000)] | None = None
    weights: Weights | None = None

    def value(self) -> bytes:
        """Fields that were not given stay out: null means "back to the default"."""
        return orjson.dumps(self.model_dump(mode="json", exclude_unset=True) | {"kind": self.kind})


class Tick(Record):
    """Shows every worker of a partition that its timestamp has been reached. Carries no key."""

    kind: Literal["tick"] = "tick"
    schema_version: SchemaVersion = SCHEMA_VERSION


class RecalledItem(Record):
    kind: Literal["event", "memory"]
    id: UUID


class Recall(Record):
    """The fact that a pack was served. It reinforces the memories in it."""

    kind: Literal["recall"] = "recall"
    schema_version: SchemaVersion = SCHEMA_VERSION
    anima_id: UUID | None = None
    pack_id: str = Field(pattern="^[0-9a-f]{64}$")
    generation: Annotated[Count, Field(ge=1)]
    query: Annotated[Text, Field(max_length=4000)] | None = None
    preset: Label
    max_tokens: Annotated[Count, Field(ge=1)]
    token_count: Count
    content: Text
    items: tuple[RecalledItem, ...]


class SynthesisTrigger(Record):
    """The decision to synthesise one window: the anima's events from first_offset to last_offset, both included."""

    id: UUID
    anima_id: UUID
    partition: Count
    first_offset: Offset
    last_offset: Offset
    events: Count
    tokens: Count
    score: Number
    threshold: Number
    reason: Literal["score", "window_tokens"]
    fired_at: AwareDatetime = Field(description="Log time at which the score crossed the threshold.")


class MemoryLink(Record):
    """Provenance: how much one event weighs in a memory. Weights of a memory sum to 1."""

    event_id: UUID
    seq: Count
    weight: Share


def _each_once(links: tuple[MemoryLink, ...]) -> tuple[MemoryLink, ...]:
    if not links or len({link.seq for link in links}) < len(links):
        raise ValueError("must name at least one event, and each event once")
    return links


class Memory(Record):
    """One revision of a memory."""

    id: UUID
    revision: Annotated[Count, Field(ge=1)]
    generation: Annotated[Count, Field(ge=1)]
    anima_id: UUID
    trigger: SynthesisTrigger
    first_offset: Offset = Field(
        description="Of its window as claimed; a trigger may repeat events of earlier windows."
    )
    last_offset: Offset
    summary: Text
    content: Text
    importance: Share
    confidence: Share
    state: Literal["ACTIVE", "DECAYING", "ARCHIVED"] = "ACTIVE"
    started_at: AwareDatetime
    ended_at: AwareDatetime
    recorded_at: AwareDatetime = Field(description="Log time from which this revision was known.")
    model: Text
    prompt_name: Text
    prompt_hash: Text
    links: Annotated[tuple[MemoryLink, ...], AfterValidator(_each_once)]
