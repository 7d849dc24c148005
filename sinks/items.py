"""What the stages `index` and `embed` read: the items behind records, once the sink has made them visible."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from aiokafka.structs import TopicPartition
from psycopg.rows import class_row

from sinks import progress
from sinks.database import Pool, sql
from stack.settings import Settings
from streams.consumer import Batches
from streams.decode import Undecodable, decode, read
from streams.kafka import topics_of
from streams.positions import Position, event_id
from streams.records import Event, Memory
from streams.redrive import redriven


class Layer(IntEnum):
    event = 0
    memory = 1


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can be found: an event, or a memory's revision. `seq` is dense per anima, layer and generation."""

    anima_id: UUID
    layer: int
    generation: int
    seq: int
    text: str
    author: str | None
    session_id: str | None
    occurred_at: datetime


async def visible(settings: Settings, pool: Pool, batches: Batches) -> list[Item]:
    """The items of these records, in the order of seq; waits until the sink has passed them."""
    for tp, records in batches.items():
        await _passed(pool, tp, records[-1].offset)
    events, revisions = _identities(settings, batches)
    memories, numbers = [memory for memory, _ in revisions], [number for _, number in revisions]
    async with pool.connection() as connection, connection.cursor(row_factory=class_row(Item)) as cursor:
        await cursor.execute(sql("items"), [events, memories, numbers, settings.generation])
        return await cursor.fetchall()


async def _passed(pool: Pool, tp: TopicPartition, offset: int) -> None:
    while True:
        try:
            return await progress.wait(pool, "sink", Position(tp.topic, tp.partition, offset), limit_s=60)
        except progress.NotYet:
            continue  # the sink is away; nothing can be lost by waiting


def _identities(settings: Settings, batches: Batches) -> tuple[list[UUID], set[tuple[UUID, int]]]:
    """Ids of events; ids and numbers of revisions: a later one may be visible already, and its turn comes later."""
    events, memories = [], set()
    for tp, records in batches.items():
        for raw in records:
            try:
                if tp.topic == topics_of(settings).memories.name:
                    memory = read(Memory, raw)
                    memories.add((memory.id, memory.revision))
                    continue
                anima, record = decode(raw, settings.partitions)
            except Undecodable:
                continue  # the sink has put it into the dead letters
            if anima is not None and isinstance(record, Event):
                again = redriven(raw)
                _, partition, offset = again.first if again else (raw.topic, raw.partition, raw.offset)
                events.append(event_id(anima, partition, offset, record.dedupe_key))
    return events, memories
