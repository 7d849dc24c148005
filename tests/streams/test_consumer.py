"""The loop of plain stages on a real log: what is written is the log, once and in order, one batch prepared ahead."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

import streams.consumer
from stack.settings import Settings
from streams.consumer import Batches, Consumer, NotOwner, Offsets
from streams.kafka import connection, topics_of
from streams.lull import Lull
from tests.conftest import World
from tests.live.log import Sent, eventually, send

RECORDS, BATCH = 100, 10
Prepared = dict[TopicPartition, list[int]]


class Ledger:
    """A store of rows and progress that takes as long as the test says."""

    def __init__(self) -> None:
        self.prepared: list[Prepared] = []
        self.written: list[int] = []
        self.next: Offsets = {}
        self.begun = 0
        self.open = asyncio.Event()

    async def load(self, _: list[TopicPartition]) -> Offsets:
        return dict(self.next)

    async def prepare(self, batches: Batches) -> Prepared:
        self.prepared.append({tp: [record.offset for record in records] for tp, records in batches.items()})
        return self.prepared[-1]

    async def write(self, prepared: Prepared, expected: Offsets, reached: Offsets) -> None:
        self.begun += 1
        await self.open.wait()
        if any(self.next.get(tp, 0) != offset for tp, offset in expected.items()):
            raise NotOwner("the ledger stands elsewhere")
        self.next |= reached
        self.written += itertools.chain.from_iterable(prepared.values())

    async def ahead(self) -> bool:
        """Whether one batch is being written and the next is prepared."""
        return self.begun == 1 and len(self.prepared) == 2

    async def complete(self) -> bool:
        return sum(self.next.values()) == RECORDS


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def consumer(world: World, ledger: Ledger) -> AsyncIterator[Consumer[Prepared]]:
    """Runs on a log with one partition filled, until the test ends; its first write is under way."""
    await send(world.settings, [Sent(b"wren", b"{}")] * RECORDS)
    names = [topics_of(world.settings).events.name]
    consumer = Consumer(world.settings, "test", names, ledger.load, ledger.prepare, ledger.write, records=BATCH)
    running = asyncio.ensure_future(consumer.run())
    try:
        await eventually(ledger.ahead, 30, "a batch is written and the next prepared")
        yield consumer
    finally:
        consumer.stopping.set()
        ledger.open.set()
        await running


async def test_one_batch_is_prepared_ahead_and_all_are_written_in_order(
    ledger: Ledger, consumer: Consumer[Prepared]
) -> None:
    assert ledger.written == []
    ledger.open.set()
    await eventually(ledger.complete, 30, "all is written")
    assert ledger.written == list(range(RECORDS))


async def test_a_lull_begins_only_when_all_is_read(ledger: Ledger, consumer: Consumer[Prepared]) -> None:
    consumer.lull = Lull(1e6)  # had one begun before the end, the rest would not be read
    ledger.open.set()
    await eventually(ledger.complete, 30, "all is written")
    assert consumer.lull.until > time.monotonic()


async def test_a_batch_in_flight_while_partitions_move_is_not_written_again(
    ledger: Ledger, consumer: Consumer[Prepared]
) -> None:
    [moved] = ledger.prepared[0]
    consumer._forget([moved])  # as in a rebalance: the ledger does not know of the batch yet
    ledger.open.set()
    await eventually(ledger.complete, 30, "all is written")
    assert ledger.written == list(range(RECORDS))


async def test_what_was_prepared_behind_a_lost_batch_is_thrown_away(
    ledger: Ledger, consumer: Consumer[Prepared]
) -> None:
    [partition] = ledger.prepared[0]
    ledger.next[partition] = 15  # by another worker, which wrote these
    ledger.open.set()
    await eventually(ledger.complete, 30, "all is written")
    assert ledger.written == list(range(15, RECORDS))


@pytest.mark.parametrize("step", ["load", "prepare", "write"])
async def test_a_ledger_that_is_away_is_asked_again(
    ledger: Ledger, consumer: Consumer[Prepared], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was asked for as it went; and a write that says so may have been done."""
    whole, failures = getattr(consumer, step), itertools.count()

    async def failing(*given: Any) -> Any:
        done = await whole(*given) if step == "write" else None
        if next(failures) < 3:
            raise psycopg.OperationalError("terminating connection due to administrator command")
        return done or await whole(*given)

    monkeypatch.setattr(streams.consumer, "PAUSE_S", 0.0)
    setattr(consumer, step, failing)
    consumer._forget(list(consumer.next))
    ledger.open.set()
    await eventually(ledger.complete, 30, "all is written")
    assert ledger.written == list(range(RECORDS))
    assert next(failures) >= 3


async def test_the_batch_in_hand_is_finished_and_nothing_after_it(ledger: Ledger, consumer: Consumer[Prepared]) -> None:
    consumer.stopping.set()
    ledger.open.set()

    async def finished() -> bool:
        return bool(ledger.written)

    await eventually(finished, 30, "the batch in hand is written")
    assert ledger.written == list(range(BATCH))


async def test_nothing_is_committed_while_the_group_moves(
    world: World, ledger: Ledger, consumer: Consumer[Prepared]
) -> None:
    """Or the group moves again because of that, and again."""
    ledger.open.set()
    own = consumer.kafka._coordinator
    # It learns late that another joins, who waits for it meanwhile.
    slow = {"heartbeat_interval_ms": 3_000, "session_timeout_ms": 10_000}
    async with AIOKafkaConsumer(*consumer.topics, group_id=own.group_id, **slow, **connection(world.settings)) as other:

        async def settled() -> bool:
            shared = consumer.kafka.assignment() and other.assignment()
            return bool(shared) and not consumer.moving and consumer._ours() == consumer.committed != {}

        await eventually(settled, 30, "the two share the partitions")
        before = own.generation
        own.request_rejoin()

        async def moved() -> bool:
            return bool(own.generation > before and await settled())

        await eventually(moved, 30, "the group has moved")
        assert own.generation == before + 1
    assert ledger.written == list(range(RECORDS))


async def test_what_stops_a_write_stops_the_stage(world: World, ledger: Ledger) -> None:
    async def refuse(*_: object) -> None:
        raise RuntimeError("the disk is full")

    await send(world.settings, [Sent(b"wren", b"{}")])
    names = [topics_of(world.settings).events.name]
    consumer = Consumer(world.settings, "test", names, ledger.load, ledger.prepare, refuse)
    with pytest.raises(RuntimeError, match="the disk is full"):
        await asyncio.wait_for(consumer.run(), 60)


async def test_without_partitions_there_is_nothing_to_commit(ledger: Ledger) -> None:
    """As while the group is moving: aiokafka raises ValueError if it is asked to commit nothing."""
    consumer = Consumer(Settings(_env_file=None), "sink", ["t"], ledger.load, ledger.prepare, ledger.write)
    consumer.kafka.subscribe(["t"])
    consumer.kafka._subscription.assign_from_subscribed([])
    consumer.committed = {TopicPartition("t", 0): 5}
    await consumer._commit()
    assert consumer.committed == {TopicPartition("t", 0): 5}


async def test_positions_that_cannot_be_read_stop_the_stage(world: World, ledger: Ledger) -> None:
    async def unreachable(_: list[TopicPartition]) -> Offsets:
        raise RuntimeError("no connection")

    names = [topics_of(world.settings).events.name]
    consumer = Consumer(world.settings, "test", names, unreachable, ledger.prepare, ledger.write)
    with pytest.raises(RuntimeError, match="no connection"):
        await asyncio.wait_for(consumer.run(), 30)
