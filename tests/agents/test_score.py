"""The shell of `score` at its seams: what is awaited before what, on parts made by hand."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from faust.types import TP

from agents.score import Score
from stack.settings import Settings
from streams.decode import decode
from streams.kafka import partition_of, topics_of
from tables.accumulation import Accumulation, Rule, Window, due
from tables.fold import Timers
from tables.store import Mark

SETTINGS = Settings(_env_file=None)
EVENTS = TP(topics_of(SETTINGS).events.name, 0)
ANIMA = UUID(int=7)


class Batch:
    def __init__(self, key: bytes | None = None, value: bytes = b"") -> None:
        self.acknowledged = False
        self.message = SimpleNamespace(tp=EVENTS, offset=4)
        self.value = [SimpleNamespace(key=key, value=value, partition=0, offset=4, timestamp=1)]

    def ack(self) -> None:
        self.acknowledged = True


class Broker:
    """Consumer and producer in one: remembers what was sent."""

    def __init__(self, *, ended: bool = True) -> None:
        self.ended = ended
        self.sent: list[dict[str, Any]] = []

    async def start(self) -> None:
        pass

    def assignment(self) -> set[TP]:
        return {EVENTS}

    def committed(self, _: TP) -> int:
        return 0

    async def at_end(self, _: TP, absorbed: int) -> bool:
        return self.ended and absorbed == 4

    async def send_and_wait(self, topic: str, value: bytes, **where: Any) -> None:
        self.sent.append({"topic": topic, "value": value} | where)


class Table:
    def __init__(self, state: Accumulation | None = None) -> None:
        self.state = state or Accumulation()
        self.clock = 1
        self.written: list[list[Mark]] = []

    def load(self, _: UUID) -> Accumulation:
        return self.state

    def marks(self, _: int) -> list[Mark]:
        return [Mark(4, self.clock)]

    def write(self, _: int, states: dict[UUID, Accumulation], marks: list[Mark]) -> list[Any]:
        self.state = next(iter(states.values()), self.state)
        self.written.append(marks)
        return []

    def delivered(self, _: int, __: list[range]) -> None:
        pass


def shell(broker: Broker, table: Table) -> Any:
    """The stage without Faust and Kafka."""
    made: Any = Score.__new__(Score)
    made.app, made.producer = SimpleNamespace(consumer=broker), broker
    made.settings, made.topics, made.table = SETTINGS, topics_of(SETTINGS), table
    made.rule, made.decode = Rule(), partial(decode, partitions=8)
    made.timers, made.reached, made.ticked = {0: Timers()}, {}, {}
    made.assignment, made.stopping = 0, False
    return made


class Deliveries:
    """Stands for `_deliver`: the test completes what was sent, topic by topic."""

    def __init__(self, stage: Any) -> None:
        self.triggers = asyncio.get_running_loop().create_future()
        self.states = asyncio.get_running_loop().create_future()
        self.topics = stage.topics
        stage._deliver = self.deliver

    async def deliver(self, topic: str, *_: Any) -> list[range]:
        await (self.triggers if topic == self.topics.triggers.name else self.states)
        return []


async def absorbing(stage: Any, batch: Batch) -> Any:
    task = asyncio.ensure_future(stage.absorb(batch, stage.assignment))
    await asyncio.wait([task], timeout=0.01)
    return task


async def test_a_batch_is_acknowledged_when_its_state_is_delivered() -> None:
    batch, table = Batch(), Table()
    stage = shell(Broker(), table)
    deliveries = Deliveries(stage)
    task = await absorbing(stage, batch)
    assert table.written == []  # state first would lose the trigger in a crash between the two
    deliveries.triggers.set_result(None)
    await asyncio.wait([task], timeout=0.01)
    assert table.written == [[Mark(0, 0), Mark(4, 1), Mark(5, 1)]]
    assert not batch.acknowledged
    deliveries.states.set_result(None)
    await task
    assert batch.acknowledged


async def test_after_a_revocation_nothing_is_acknowledged() -> None:
    batch, stage = Batch(), shell(Broker(), Table())
    deliveries = Deliveries(stage)
    deliveries.triggers.set_result(None)
    task = await absorbing(stage, batch)
    await stage.revoked()
    deliveries.states.set_result(None)
    await task
    assert not batch.acknowledged


async def test_state_is_not_written_for_a_partition_that_moved_while_triggers_were_sent() -> None:
    table = Table()
    stage = shell(Broker(), table)
    deliveries = Deliveries(stage)
    task = await absorbing(stage, Batch())
    await stage.revoked()
    deliveries.triggers.set_result(None)
    await task
    assert table.written == []


class Stream:
    """One batch after the other."""

    def __init__(self, *batches: Batch) -> None:
        self.batches = batches

    def noack(self) -> "Stream":
        return self

    async def events(self) -> AsyncIterator[Batch]:
        for batch in self.batches:
            yield batch


async def test_a_batch_that_waited_for_room_while_partitions_moved_is_void(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table()
    stage = shell(Broker(), table)
    Deliveries(stage).triggers.set_result(None)
    stage.last, stage.room = {}, asyncio.Semaphore(0)
    monkeypatch.setattr("agents.score.producer", lambda *_, **__: stage.producer)
    running = asyncio.ensure_future(stage.run(Stream(Batch())))
    await asyncio.wait([running], timeout=0.01)
    await stage.revoked()
    stage.room.release()
    await running
    await asyncio.wait(stage.last.values(), timeout=0.01)
    assert table.written == []


def pending(stage: Any) -> None:
    """A window that was due an hour ago, by time alone."""
    since = int(time.time() * 1000) - 11 * 3_600_000
    stage.table.state = Accumulation(3, Window(3, 3, 1, 0, since))
    stage.timers[0].put(ANIMA, stage._due(ANIMA))


async def test_one_tick_shows_what_no_record_shows() -> None:
    broker = Broker()
    stage = shell(broker, Table())
    pending(stage)
    for _ in range(3):
        await stage.tick()
    [tick] = broker.sent
    assert (tick["topic"], tick["partition"], tick["value"]) == (EVENTS.topic, 0, b'{"kind":"tick","schema_version":1}')


async def test_no_tick_while_there_is_log_to_read() -> None:
    broker = Broker(ended=False)
    stage = shell(broker, Table())
    pending(stage)
    await stage.tick()
    assert broker.sent == []
    broker.ended = True
    await stage.tick()
    assert len(broker.sent) == 1


async def test_a_timer_outlives_who_looks_before_its_state_is_written() -> None:
    table = Table()
    stage = shell(Broker(), table)
    deliveries = Deliveries(stage)
    deliveries.states.set_result(None)
    key = next(b"anima-%d" % number for number in range(100) if partition_of(b"anima-%d" % number, 8) == 0)
    task = await absorbing(stage, Batch(key, b'{"event_type":"message.in","content":"Only time can tell."}'))
    await stage.tick()
    deliveries.triggers.set_result(None)
    await task
    assert stage.timers[0].next(stage._due) == due(table.state.window, Rule()) is not None


async def test_a_window_that_was_due_before_the_last_record_is_shown_too() -> None:
    """Or those behind it would wait for it."""
    broker, table = Broker(), Table()
    stage = shell(broker, table)
    pending(stage)
    table.clock = int(time.time() * 1000)
    await stage.tick()
    assert len(broker.sent) == 1


async def test_a_tick_that_fails_is_tried_again() -> None:
    """An exception that leaves a Faust timer ends the worker."""
    broker = Broker()
    stage = shell(broker, Table())
    pending(stage)
    sending, broker.send_and_wait = broker.send_and_wait, None  # type: ignore[method-assign,assignment]
    await stage.tick()
    broker.send_and_wait = sending  # type: ignore[method-assign]
    await stage.tick()
    assert len(broker.sent) == 1
