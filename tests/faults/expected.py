"""What must stand in Postgres, computed from the log alone. Pure: decode, the accumulation rule, and the claims."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from agents.score import rule_of, trigger
from agents.tokens import count_tokens
from stack.settings import Settings
from streams.decode import Undecodable, decode
from streams.positions import event_id, window_id
from streams.records import Configure, Event, Recall, SynthesisTrigger
from tables.accumulation import Accumulation
from tables.fold import Timers, fold

Content = tuple[bytes | None, bytes | None]  # a record's key and value
REFUSED = "refused"  # the session of events that the API must refuse


class ExpectedEvent(NamedTuple):
    id: UUID
    anima: UUID
    seq: int
    partition: int
    offset: int
    content: str
    recorded_ms: int


class ExpectedWindow(NamedTuple):
    """As claimed; `memory` is the id of what is made of it."""

    anima: UUID
    partition: int
    first_offset: int
    last_offset: int
    first_seq: int
    last_seq: int
    trigger: UUID
    memory: UUID


@dataclass
class Expected:
    events: dict[UUID, ExpectedEvent] = field(default_factory=dict)
    letters: dict[tuple[int, int], Content] = field(default_factory=dict)
    triggers: dict[UUID, SynthesisTrigger] = field(default_factory=dict)
    windows: dict[tuple[UUID, int], ExpectedWindow] = field(default_factory=dict)
    recalls: set[tuple[int, int]] = field(default_factory=set)
    records: dict[tuple[int, int], int] = field(default_factory=dict)  # every position, with its timestamp in ms
    contents: dict[tuple[int, int], Content] = field(default_factory=dict)  # of every position
    numbers: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))  # where meta.number is
    names: dict[UUID, list[str]] = field(default_factory=lambda: defaultdict(list))  # given to an anima, in order
    refused: list[tuple[int, int]] = field(default_factory=list)  # where an event stands that the API had to refuse


def derive(log: Iterable[Any], settings: Settings) -> Expected:
    """`log`: every record of the topic of events, in the order of partition and offset."""
    by_partition: defaultdict[int, list[Any]] = defaultdict(list)
    for record in log:
        by_partition[record.partition].append(record)
    found = Expected()
    for partition, records in by_partition.items():
        _read(found, records, settings)
        _windows(found, partition, records, settings)
    return found


def _read(found: Expected, records: list[Any], settings: Settings) -> None:
    following: defaultdict[UUID, int] = defaultdict(int)
    for raw in records:
        at = (raw.partition, raw.offset)
        found.records[at], found.contents[at] = raw.timestamp, (raw.key, raw.value)
        try:
            anima, record = decode(raw, settings.partitions)
        except Undecodable:
            found.letters[at] = (raw.key, raw.value)
            continue
        if isinstance(record, Recall):
            found.recalls.add(at)
        if anima is not None and isinstance(record, Configure) and record.name is not None:
            found.names[anima].append(record.name)
        if anima is None or not isinstance(record, Event):
            continue
        if record.session_id == REFUSED:
            found.refused.append(at)
        if record.meta and "number" in record.meta:
            found.numbers[record.meta["number"]].append(at)
        identity = event_id(anima, *at, record.dedupe_key)
        if identity not in found.events:  # a repeat of a dedupe key is no second event
            found.events[identity] = ExpectedEvent(
                identity, anima, following[anima], *at, record.content, raw.timestamp
            )
            following[anima] += 1


def _windows(found: Expected, partition: int, records: list[Any], settings: Settings) -> None:
    decoding = partial(decode, partitions=settings.partitions)
    folded = fold(records, 0, lambda _: Accumulation(), Timers(), rule_of(settings), decoding, count_tokens)
    mine: defaultdict[UUID, list[ExpectedEvent]] = defaultdict(list)
    for event in found.events.values():
        if event.partition == partition:
            mine[event.anima].append(event)
    claimed: defaultdict[UUID, int] = defaultdict(int)  # events of an anima that are in windows
    triggers = sorted((trigger(anima, partition, fired) for anima, fired in folded.fired), key=lambda t: t.last_offset)
    for one in triggers:
        found.triggers[one.id] = one
        events, first = mine[one.anima_id], claimed[one.anima_id]
        last = first
        while last < len(events) and events[last].offset <= one.last_offset:
            last += 1
        if last == first:
            continue  # all of it were repeats
        claimed[one.anima_id] = last
        identity = window_id(one.anima_id, partition, events[first].offset, one.last_offset)
        found.windows[one.anima_id, one.last_offset] = ExpectedWindow(
            one.anima_id, partition, events[first].offset, one.last_offset, first, last - 1, one.id,
            uuid5(identity, "memory"),
        )  # fmt: skip
