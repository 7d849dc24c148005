"""What `index` and `embed` are handed: the item behind each record, not what has become of it since."""

from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition

from sinks import memories, progress
from sinks.database import Pool
from sinks.items import Layer, visible
from stack.settings import Settings
from streams.kafka import topics_of
from streams.records import Event, Memory
from tests.sinks.conftest import WREN, arrival, memory, write_events

SETTINGS = Settings(_env_file=None)
TOPICS = topics_of(SETTINGS)
MEMORIES, EVENTS = TopicPartition(TOPICS.memories.name, 1), TopicPartition(TOPICS.events.name, 1)


def record(tp: TopicPartition, offset: int, key: bytes, value: bytes) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord(tp.topic, tp.partition, offset, 0, 0, key, value, None, len(key), len(value), ())


async def sunk(rows: Pool, tp: TopicPartition, end: int) -> None:
    async with rows.connection() as connection, connection.transaction():
        await progress.advance(connection, "sink", {tp: 0}, {tp: end})


async def stored(rows: Pool, *revisions: Memory) -> "list[ConsumerRecord[bytes, bytes]]":
    """The records of these revisions, once the sink has written all of them."""
    await sunk(rows, MEMORIES, len(revisions))
    async with rows.connection() as connection, connection.transaction():
        await memories.write(connection, [(one, 1, offset) for offset, one in enumerate(revisions)])
    key = str(WREN).encode()
    return [record(MEMORIES, offset, key, one.value()) for offset, one in enumerate(revisions)]


async def found(rows: Pool, tp: TopicPartition, records: Any) -> list[tuple[int, int, str]]:
    items = await visible(SETTINGS, rows, {tp: records})
    return [(item.layer, item.seq, item.text) for item in items]


async def test_each_record_of_a_memory_gives_its_own_revision(rows: Pool) -> None:
    first, other, second = await stored(rows, memory(1), memory(2, summary="other"), memory(1, 2, "s2"))
    assert await found(rows, MEMORIES, [first]) == [(Layer.memory, 0, "s")]
    assert await found(rows, MEMORIES, [other, second]) == [(Layer.memory, 1, "other"), (Layer.memory, 2, "s2")]
    assert await found(rows, MEMORIES, [first, other, second]) == [
        (Layer.memory, 0, "s"), (Layer.memory, 1, "other"), (Layer.memory, 2, "s2")
    ]  # fmt: skip


async def test_another_generation_s_revision_is_not_handed_out(rows: Pool) -> None:
    (ours, _) = await stored(rows, memory(1), memory(1, summary="theirs").model_copy(update={"generation": 2}))
    assert await found(rows, MEMORIES, [ours]) == [(Layer.memory, 0, "s")]


@pytest.mark.parametrize("dedupe_key", [None, "k"])
async def test_an_event_repeated_by_its_dedupe_key_is_the_stored_one(rows: Pool, dedupe_key: str | None) -> None:
    said = [Event(event_type="m", content=content, dedupe_key=dedupe_key) for content in ("first", "second")]
    arrivals = [arrival(offset, one) for offset, one in enumerate(said)]
    await write_events(rows, arrivals)
    await sunk(rows, EVENTS, 2)
    last = record(EVENTS, 1, b"wren", said[1].value())
    expected = (Layer.event, 0, "first") if dedupe_key else (Layer.event, 1, "second")
    assert await found(rows, EVENTS, [last]) == [expected]
