"""Poison mixed with good events: rows exactly once, letters exactly once, and the sink goes on."""

from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from sinks.database import Pool, pool
from stack.settings import Settings
from streams.kafka import connection, topics_of
from streams.positions import Position, anima_of
from streams.records import Configure, Event
from tests.conftest import World
from tests.live.log import Sent, eventually, passed, read, send
from tests.streams.poison import POISON

KEYS = (b"wren", b"robin", b"0190a8f0-7c3b-7d4e-9a51-2f6b1c0d4e5f")


def good(number: int) -> Sent:
    event = Event(event_type="message.in", content=f"said {number}", dedupe_key="same" if number % 50 == 0 else None)
    return Sent(KEYS[number % 3], event.value())


def mixed(first: int, count: int) -> list[Sent]:
    """Good events, one poison of each kind spread among them."""
    bad = [Sent(poison.key, poison.value, poison.stands_in) for poison in POISON.values()]
    return [one for number in range(count) for one in (good(first + number), *bad[number : number + 1])]


def is_poison(record: Any) -> bool:
    return not (record.value or b"").startswith(b'{"kind":"event"')


async def select(rows: Pool, query: str) -> list[dict[str, Any]]:
    async with rows.connection() as connection:
        return await (await connection.execute(query)).fetchall()


async def sunk(rows: Pool, settings: Settings) -> None:
    topics = topics_of(settings)
    await passed(rows, settings, "sink", [topics.events.name, topics.memories.name])
    await passed(rows, settings, "sink", [topics.dead_letters.name])


async def check_rows(rows: Pool, settings: Settings) -> None:
    """Every good event is a row, its seq dense in log order; a dedupe key names one event."""
    log = [record for record in await read(settings, topics_of(settings).events.name) if not is_poison(record)]
    for key in KEYS:
        offsets, seen = [], set()
        for record in (one for one in log if one.key == key):
            dedupe = Event.model_validate_json(record.value).dedupe_key
            if dedupe is None or dedupe not in seen:
                offsets.append(record.offset)
            seen.add(dedupe)
        found = await select(
            rows, f"SELECT seq, \"offset\" FROM events WHERE anima_id = '{anima_of(key)}' ORDER BY seq"
        )
        assert [tuple(row.values()) for row in found] == list(enumerate(offsets))
        [anima] = await select(rows, f"SELECT events, key FROM animas WHERE id = '{anima_of(key)}'")
        assert anima == {"events": len(offsets), "key": key.decode()}


async def check_letters(rows: Pool, settings: Settings) -> list[Any]:
    """Every poison record has one letter, with its bytes and its reason; returns the records of the topic."""
    topics = topics_of(settings)
    bad = {(one.partition, one.offset): one for one in await read(settings, topics.events.name) if is_poison(one)}
    reasons = {(poison.key, poison.value, poison.stands_in): poison.reason for poison in POISON.values()}
    stored = await select(rows, "SELECT * FROM dead_letters")
    assert len(stored) == len(bad)
    for row in stored:
        record = bad[row["partition"], row["offset"]]
        assert (row["topic"], row["stage"], row["attempts"]) == (topics.events.name, "sink", 1)
        assert (row["key"], row["value"]) == (record.key, record.value)
        assert round(row["recorded_at"].timestamp() * 1000) == record.timestamp
        assert reasons[record.key, record.value, record.partition] in row["reason"]
    letters = await read(settings, topics.dead_letters.name)
    for letter in letters:
        source = Position.parse(dict(letter.headers)["source"].decode())
        record = bad[source.partition, source.offset]
        assert (letter.key, letter.value, source.topic) == (record.key, record.value, record.topic)
    return letters


async def test_poison_becomes_letters_and_all_else_rows(world: World, rows: Pool) -> None:
    world.stage("sink")
    sent = await send(world.settings, mixed(0, 300))
    await sunk(rows, world.settings)
    await check_rows(rows, world.settings)
    letters = await check_letters(rows, world.settings)
    assert len(letters) == len(POISON) == len(sent) - 300


async def test_killing_the_sink_changes_nothing(world: World, rows: Pool) -> None:
    await send(world.settings, mixed(0, 3_000))
    for number in range(3):
        sink = world.stage("sink")
        before = await select(rows, "SELECT coalesce(sum(next_offset), 0)::int AS reached FROM progress")
        await send(world.settings, mixed(3_000 + 300 * number, 300))

        async def moved(before: list[dict[str, Any]] = before) -> bool:
            return before != await select(rows, "SELECT coalesce(sum(next_offset), 0)::int AS reached FROM progress")

        await eventually(moved, 30, "the sink writes", every_s=0.005)
        sink.kill()
        sink.wait()
    world.stage("sink")
    await sunk(rows, world.settings)
    await check_rows(rows, world.settings)
    letters = await check_letters(rows, world.settings)
    sources = [dict(letter.headers)["source"] for letter in letters]
    assert len(set(sources)) == 4 * len(POISON)


async def test_unknown_animas_are_refused_where_that_is_the_setting(make_world: Callable[..., Any]) -> None:
    world: World = await make_world(strict_animas=True)
    said = Event(event_type="message.in", content="x").value()
    first, *_ = await send(world.settings, [Sent(b"wren", said)])
    async with pool(world.settings) as rows:
        world.stage("sink")
        await sunk(rows, world.settings)
        await send(world.settings, [Sent(b"wren", Configure(name="Wren").value()), *[Sent(b"wren", said)] * 2])
        await send(
            world.settings, [Sent(b"robin", said), Sent(b"robin", Configure(name="R").value()), Sent(b"robin", said)]
        )
        await sunk(rows, world.settings)
        animas = await select(rows, "SELECT key, events FROM animas ORDER BY key")
        letters = await select(rows, 'SELECT "offset", key, value, reason FROM dead_letters ORDER BY key DESC')
    assert animas == [{"key": "robin", "events": 1}, {"key": "wren", "events": 2}]
    assert [(letter["key"], letter["value"]) for letter in letters] == [(b"wren", said), (b"robin", said)]
    assert letters[0]["offset"] == first.offset
    assert all("ELEPHANTASM_STRICT_ANIMAS" in letter["reason"] for letter in letters)


@pytest.mark.parametrize("compressed", [3_000_000, 20_000_000])
async def test_what_was_compressed_past_the_limits_does_not_stop_the_sink(
    world: World, rows: Pool, compressed: int
) -> None:
    """A broker weighs batches as they come: compressed. Beyond a bound a letter leaves the bytes in the log."""
    value = b" " * compressed
    options: dict[str, Any] = connection(world.settings) | {"compression_type": "gzip", "max_request_size": 2**26}
    async with AIOKafkaProducer(**options) as kafka:
        await kafka.send_and_wait(topics_of(world.settings).events.name, value, b"wren", 1)
    await send(world.settings, [good(0)])
    world.stage("sink")
    await sunk(rows, world.settings)
    [letter] = await select(rows, "SELECT value, reason FROM dead_letters")
    assert letter["value"] == (value if compressed < 8_000_000 else None)
    assert ("not copied" in letter["reason"]) == (compressed > 8_000_000)


async def test_letters_that_others_wrote_are_passed_over(world: World, rows: Pool) -> None:
    topic = topics_of(world.settings).dead_letters.name
    ours: dict[str, bytes | None] = {
        "source": b"a/1/2",
        "stage": b"s",
        "reason": b"r",
        "timestamp": b"1",
        "attempts": b"1",
    }
    broken = [
        {},
        ours | {"source": None},
        ours | {"source": b"elsewhere"},
        ours | {"attempts": b"4294967296"},
        ours | {"timestamp": b"9" * 18},
        ours | {"stage": b"a\x00b"},
        ours | {"reason": b"\xff"},
    ]
    async with AIOKafkaProducer(**connection(world.settings)) as kafka:
        for headers in [*broken, ours]:
            await kafka.send_and_wait(topic, b"x", headers=list(headers.items()), partition=0)
    world.stage("sink")
    await passed(rows, world.settings, "sink", [topic])
    assert [row["offset"] for row in await select(rows, 'SELECT "offset" FROM dead_letters')] == [2]


async def test_records_from_before_1970_are_events(world: World, rows: Pool) -> None:
    await send(world.settings, [good(0)._replace(timestamp=-2_208_988_800_000), good(3)])
    world.stage("sink")
    await passed(rows, world.settings, "sink", [topics_of(world.settings).events.name])
    found = await select(rows, "SELECT extract(epoch FROM recorded_at)::bigint AS at FROM events ORDER BY seq")
    assert found[0] == {"at": 0}
    assert len(found) == 2
