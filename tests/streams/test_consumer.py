"""The loop of plain stages on a real log: what is written is the log, once and in order, one batch prepared ahead."""

import asyncio
import itertools
import time
import weakref
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaError, NodeNotReadyError
from aiokafka.structs import TopicPartition

import streams.consumer
from stack.settings import Settings
from streams.consumer import Batches, Consumer, LogLost, NotOwner, Offsets
from streams.kafka import connection, partition_of, topics_of
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


async def test_what_was_fetched_before_a_move_is_let_go(
    ledger: Ledger, consumer: Consumer[Prepared], cycle: "weakref.ref[object]"
) -> None:
    [moved] = ledger.prepared[0]
    consumer._forget([moved])
    ledger.open.set()
    await eventually(ledger.complete, 30, "all is written")
    assert cycle() is None


async def test_what_was_prepared_behind_a_lost_batch_is_thrown_away(
    ledger: Ledger, consumer: Consumer[Prepared]
) -> None:
    [partition] = ledger.prepared[0]
    ledger.next[partition] = 15  # by another worker, which wrote these
    ledger.open.set()
    await eventually(ledger.complete, 30, "all is written")
    assert ledger.written == list(range(15, RECORDS))


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("load", psycopg.OperationalError),
        ("prepare", psycopg.OperationalError),
        ("write", psycopg.OperationalError),
        ("write", psycopg.errors.IdleInTransactionSessionTimeout),  # it buried a letter while Kafka was away
    ],
)
async def test_a_ledger_that_is_away_is_asked_again(
    ledger: Ledger,
    consumer: Consumer[Prepared],
    step: str,
    error: type[psycopg.Error],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever was asked for as it went; and a write that says so may have been done."""
    whole, failures = getattr(consumer, step), itertools.count()

    async def failing(*given: Any) -> Any:
        done = await whole(*given) if step == "write" else None
        if next(failures) < 3:
            raise error("terminating connection due to administrator command")
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


async def test_a_batch_may_take_an_hour(
    ledger: Ledger, consumer: Consumer[Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka leaves the group of who does not poll for long. Nobody else is better off with its work."""
    monkeypatch.setattr(SubscriptionState, "fetcher_idle_time", property(lambda _: 3600.0))
    coordinator = consumer.kafka._coordinator
    beat, beats, before = coordinator._do_heartbeat, itertools.count(), coordinator.generation

    async def counted() -> Any:
        next(beats)
        return await beat()

    async def beaten() -> bool:
        return next(beats) > 2

    monkeypatch.setattr(coordinator, "_do_heartbeat", counted)
    await eventually(beaten, 30, "some heartbeats", every_s=1.5)
    assert coordinator.generation == before > 0


@pytest.mark.parametrize("task", ["_proc_fetch_request", "_metadata_update"])
async def test_a_client_whose_task_has_ended_ends_the_stage(
    world: World, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """uvloop raises RuntimeError for what is sent on a connection that closes; aiokafka expects another error."""

    async def closed(*_: object) -> None:
        raise RuntimeError("unable to perform operation; the handler is closed")

    await send(world.settings, [Sent(b"wren", b"{}")])
    names = [topics_of(world.settings).events.name]
    consumer = Consumer(world.settings, "test", names, ledger.load, ledger.prepare, ledger.write)
    running = asyncio.ensure_future(consumer.run())

    async def prepared() -> bool:
        return bool(ledger.prepared)

    await eventually(prepared, 30, "it works")
    ledger.open.set()
    of = consumer.kafka._fetcher if task == "_proc_fetch_request" else consumer.kafka._client
    monkeypatch.setattr(of, task, closed)
    consumer.kafka._client.force_metadata_update()
    await send(world.settings, [Sent(b"wren", b"{}")])

    async def ended() -> bool:
        return running.done()

    await eventually(ended, 20, "it has ended")
    with pytest.raises((RuntimeError, KafkaError), match=r"closed|retrieval"):
        running.result()


async def test_a_log_that_has_lost_its_end_stops_the_stage(world: World, ledger: Ledger) -> None:
    """What is written there next would pass for what is in Postgres already."""
    await send(world.settings, [Sent(b"wren", b"{}")] * RECORDS)
    log, home = topics_of(world.settings).events.name, partition_of(b"wren", world.settings.partitions)
    ledger.next = {TopicPartition(log, home): RECORDS + 50}
    ledger.open.set()
    consumer = Consumer(world.settings, "test", [log], ledger.load, ledger.prepare, ledger.write)
    with pytest.raises(LogLost, match=rf"{log}/{home} ends at offset 100, but 150 of its records are in Postgres"):
        await asyncio.wait_for(consumer.run(), 30)
    assert ledger.written == []


async def test_a_stage_ends_while_kafka_is_away(
    ledger: Ledger, consumer: Consumer[Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last commit cannot be sent: Postgres has what counts."""

    async def away(*_: object) -> None:
        raise NodeNotReadyError

    monkeypatch.setattr("streams.consumer.END_S", 0.1)
    monkeypatch.setattr(consumer.kafka._client, "coordinator_lookup", away)
    consumer.kafka._coordinator.coordinator_dead()
    consumer.stopping.set()
    ledger.open.set()

    async def stopped() -> bool:
        return bool(consumer.kafka._closed)

    await eventually(stopped, 10, "it has ended")
    assert ledger.written == list(range(BATCH))


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
