"""What our consumer knows of a partition; that it loses nothing is tested in tests/live."""

import asyncio
import weakref
from collections import defaultdict, deque
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from faust.tables.recovery import ServiceStopped
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.lossless import AHEAD, BatchConsumer, BatchThread, Handed
from streams.lull import Lull
from streams.recovery import PromptTables

LOG = TP("log", 0)


def consumer(monkeypatch: pytest.MonkeyPatch, end: int | None, position: int) -> Any:
    async def at(*_: object) -> int:
        return position

    monkeypatch.setattr(BatchConsumer, "highwater", lambda *_: end)
    monkeypatch.setattr(BatchConsumer, "position", at)
    made: Any = BatchConsumer.__new__(BatchConsumer)
    made.newest, made.durable, made.lull = {}, {}, Lull(0)
    return made


@pytest.mark.parametrize(
    ("end", "position", "newest", "absorbed", "expected"),
    [
        (None, 0, None, 0, False),  # nothing fetched yet: nobody knows
        (10, 10, 9, 10, True),
        (10, 10, None, 10, True),  # a restart with nothing to read
        (10, 9, 8, 9, False),  # one record is not fetched
        (10, 10, 9, 5, False),  # fetched, not absorbed
        (11, 11, 9, 10, True),  # offset 10 is a transaction's end
        (0, 0, None, 0, True),
    ],
)
async def test_the_end_of_the_log(
    end: int | None, position: int, newest: int | None, absorbed: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = consumer(monkeypatch, end, position)
    if newest is not None:
        made.newest[LOG] = newest
    assert await made.at_end(LOG, absorbed) is expected


async def test_no_fetch_is_in_flight_across_a_seek(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of a stale fetch are dropped: none may come from behind the seek."""
    sought: list[Any] = []

    async def seek(_: object, partitions: Any) -> None:
        sought.append(partitions)

    monkeypatch.setattr(driver.Consumer, "seek_wait", seek)
    made = consumer(monkeypatch, 10, 10)
    made.idle = asyncio.Event()
    made._thread = SimpleNamespace(fetch_ahead=AsyncMock())
    seeking = asyncio.ensure_future(made.seek_wait({LOG: 3}))
    await asyncio.wait([seeking], timeout=0.01)
    assert sought == []
    made.idle.set()
    await seeking
    assert sought == [{LOG: 3}]


async def test_a_commit_that_failed_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    made, answers = consumer(monkeypatch, 10, 10), [True, False]

    async def commit(*_: object) -> bool:
        return answers.pop(0)

    monkeypatch.setattr(driver.Consumer, "_commit", commit)
    assert made.committed(LOG) == 0
    assert await made._commit({LOG: 5})
    assert not await made._commit({LOG: 9})
    assert made.committed(LOG) == 5


async def test_a_worker_ends_that_does_not_stand_where_it_was_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr("os._exit", ends.append)
    made = consumer(monkeypatch, 10, 7)
    made.epoch = 3
    made.durable = {LOG: 7, TP("table-changelog", 0): 4}
    await made._require_positions(3)
    assert ends == []
    made.durable = {LOG: 5}
    await made._require_positions(2)  # the partitions have moved since, and will be sought again
    assert ends == []
    await made._require_positions(3)
    assert ends == [70]


async def test_records_of_the_log_are_dropped_until_their_partitions_were_sought(
    monkeypatch: pytest.MonkeyPatch, cycle: "weakref.ref[object]"
) -> None:
    """Recovery resumes them first, while a fetch is in flight: it comes from where the last one ended."""
    changelog = TP("table-changelog", 0)

    async def records(*_: object) -> Any:
        return {LOG: [SimpleNamespace(offset=7)], changelog: [SimpleNamespace(offset=3)]}, {LOG, changelog}

    async def nothing(*_: object) -> None:
        pass

    for name in ("_wait_next_records", "perform_seek"):
        monkeypatch.setattr(driver.Consumer, name, records if name == "_wait_next_records" else nothing)
    monkeypatch.setattr(BatchConsumer, "_batch_message", lambda self, tp, batch: batch)
    monkeypatch.setattr(BatchConsumer, "assignment", lambda self: set())
    monkeypatch.setattr(BatchConsumer, "should_stop", False)
    made = consumer(monkeypatch, 10, 10)
    made.epoch, made.batch_epoch, made.sought, made.idle = 1, 1, 0, asyncio.Event()
    made.idle.set()
    made._thread = SimpleNamespace(fetch_ahead=AsyncMock())
    for name in ("can_resume_flow", "suspend_flow"):
        setattr(made, name, asyncio.Event())
    for name in ("_acked", "_acked_index", "_gap", "handed", "_committed_offset"):
        setattr(made, name, {})
    assert [tp async for tp, _ in made.getmany(1.0)] == [changelog]
    await made.perform_seek()
    assert cycle() is None  # as what was fetched before
    assert [tp async for tp, _ in made.getmany(1.0)] == []  # asked for before
    made.batch_epoch = made.epoch
    assert [tp async for tp, _ in made.getmany(1.0)] == [LOG, changelog]


async def test_records_are_not_read_far_ahead_of_what_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    async def records(*_: object) -> Any:
        first = len(read) * 2
        return {LOG: [SimpleNamespace(offset=first + one, serialized_value_size=AHEAD // 5) for one in range(2)]}, {LOG}

    monkeypatch.setattr(driver.Consumer, "_wait_next_records", records)
    monkeypatch.setattr(driver.Consumer, "_to_message", lambda self, tp, last: SimpleNamespace(offset=last.offset))
    monkeypatch.setattr(BatchConsumer, "should_stop", False)
    monkeypatch.setattr(BatchConsumer, "assignment", lambda self: set())
    made, read = consumer(monkeypatch, 10, 10), list[int]()
    made.epoch = made.batch_epoch = made.sought = 1
    made._read_offset, made.handed, made._acked_index = {}, defaultdict(deque), defaultdict(set)

    async def read_on(polls: int) -> int:
        for _ in range(polls):
            read.extend([message.offset async for _, message in made.getmany(0.1)])
        return len(read)

    assert await read_on(9) == 3
    made._acked_index[LOG].add(read[1])
    assert await read_on(9) == 4
    made._acked_index[LOG].update(read)
    assert await read_on(1) == 5


async def test_however_much_was_read_a_recovery_reads_its_changelog(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was handed over before a rebalance is not acknowledged any more."""
    changelog = TP("table-changelog", 0)

    async def records(*_: object) -> Any:
        return {changelog: [SimpleNamespace(offset=3)]}, {changelog}

    monkeypatch.setattr(driver.Consumer, "_wait_next_records", records)
    monkeypatch.setattr(BatchConsumer, "_batch_message", lambda self, tp, batch: batch)
    monkeypatch.setattr(BatchConsumer, "should_stop", False)
    monkeypatch.setattr(BatchConsumer, "assignment", lambda self: set())
    made = consumer(monkeypatch, 10, 10)
    made.epoch, made.batch_epoch, made.sought = 2, 2, 1
    made.handed, made._acked_index = {LOG: deque([Handed(7, AHEAD)])}, {LOG: set()}
    assert [tp async for tp, _ in made.getmany(1.0)] == [changelog]


async def test_what_is_not_fetched_ahead_is_fetched_for_a_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that moved on may have paused partitions for the next: it would wait for them for ever."""
    changelog, paused = TP("table-changelog", 0), list[set[Any]]()

    async def seek_wait(*_: object) -> None:
        paused.append(kafka.paused())

    async def call_thread(function: Any, *args: Any) -> None:
        await function(*args)

    monkeypatch.setattr(driver.Consumer, "seek_wait", seek_wait)
    kafka: Any = AIOKafkaConsumer()
    kafka.assign([changelog])
    kafka._fetcher = SimpleNamespace(_records={changelog: "fetched"})
    thread: Any = BatchThread.__new__(BatchThread)
    thread._consumer, thread.call_thread = kafka, call_thread
    await thread.fetch_ahead([changelog], False)
    assert kafka.paused() == {changelog}
    assert kafka._fetcher._records == {}
    made = consumer(monkeypatch, 10, 10)
    made._thread, made.idle = thread, asyncio.Event()
    made.idle.set()
    await made.seek_wait({changelog: 0})
    assert paused == [set()]


async def test_a_worker_ends_whose_log_has_lost_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr("os._exit", ends.append)

    async def highwaters(_: object, *partitions: TP) -> dict[TP, int]:
        return dict.fromkeys(partitions, 10)

    monkeypatch.setattr(BatchConsumer, "highwaters", highwaters)
    made = consumer(monkeypatch, 10, 10)
    made.durable = {LOG: 10, TP("table-changelog", 0): 11}
    await made._require_log()
    assert ends == []
    made.durable = {LOG: 11}
    await made._require_log()
    assert ends == [70]


async def test_a_commit_that_cannot_end_does_not_keep_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka tries for as long as Kafka is away."""
    made = consumer(monkeypatch, 10, 10)

    async def stop(_: object) -> None:
        await asyncio.Event().wait()

    async def nothing(_: object) -> bool:
        return False

    monkeypatch.setattr("streams.lossless.END_S", 0.01)
    monkeypatch.setattr(driver.Consumer, "on_stop", stop)
    monkeypatch.setattr(BatchConsumer, "maybe_wait_for_commit_to_finish", nothing)
    await asyncio.wait_for(made.on_stop(), 5)


async def test_a_step_of_a_recovery_that_takes_too_long_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust takes it for the end of the worker, and waits for no other rebalance."""
    ends: list[int] = []
    monkeypatch.setattr("os._exit", ends.append)
    app = faust.App("test", store="memory://", TableManager=PromptTables)
    recovery = app.tables.recovery
    with pytest.raises(ServiceStopped):
        await recovery._wait(asyncio.Event().wait(), timeout=0.01)
    assert ends == [70]
    await recovery.stop()
    with pytest.raises(ServiceStopped):
        await recovery._wait(asyncio.Event().wait(), timeout=0.01)
    assert ends == [70]
