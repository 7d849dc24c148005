"""The pool's promises, on streams made by hand."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from agents.ordered_pool import OrderedPool


class Record(NamedTuple):
    key: bytes
    number: int


class Batch:
    def __init__(self, *records: Record) -> None:
        self.value, self.acknowledged = list(records), False

    def ack(self) -> None:
        self.acknowledged = True


class Stream:
    """As Faust hands it to an agent."""

    def __init__(self, *batches: Batch) -> None:
        self.batches = asyncio.Queue[Batch]()
        for batch in batches:
            self.batches.put_nowait(batch)

    def noack(self) -> "Stream":
        return self

    async def events(self) -> AsyncIterator[Batch]:
        while True:
            yield await self.batches.get()


class Works:
    """Work that ends when the test says so."""

    def __init__(self) -> None:
        self.begun: list[Record] = []
        self.ended: list[Record] = []
        self.gates: dict[Record, asyncio.Event] = {}

    async def __call__(self, record: Record) -> None:
        self.begun.append(record)
        await self.gates.setdefault(record, asyncio.Event()).wait()
        self.ended.append(record)

    def end(self, *records: Record) -> None:
        for record in records:
            self.gates.setdefault(record, asyncio.Event()).set()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  what is waited for is another task's step
            await asyncio.sleep(0)


async def quiet() -> None:
    """Everything that can go on without the test has gone on."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(works: Works, *batches: Batch, calls: int = 8, most: int = 100) -> AsyncIterator[OrderedPool]:
    """A pool at work on these batches; in the end all of it is let through."""
    pool = OrderedPool(works, calls, most)
    task = asyncio.ensure_future(pool.run(Stream(*batches)))
    yield pool
    works.end(*(record for batch in batches for record in batch.value))
    await until(lambda: not pool.running)
    task.cancel()


A1, A2, A3, B1, B2 = Record(b"a", 1), Record(b"a", 2), Record(b"a", 3), Record(b"b", 1), Record(b"b", 2)


async def test_a_key_is_worked_in_order_and_keys_at_once() -> None:
    works, first, second = Works(), Batch(A1, A2, B1), Batch(A3, B2)
    async with running(works, first, second):
        await quiet()
        assert works.begun == [A1, B1]
        works.end(A2, A3, B2, B1)
        await until(lambda: B2 in works.ended)
        assert works.begun == [A1, B1, B2]
        works.end(A1)
        await until(lambda: len(works.ended) == 5)
        assert [record for record in works.ended if record.key == b"a"] == [A1, A2, A3]


async def test_a_batch_that_waited_for_room_while_partitions_moved_is_void() -> None:
    """Its partition may have another owner by now, who has begun with what comes before it."""
    works, first, second = Works(), Batch(A1), Batch(A2)
    async with running(works, first, second, most=1) as pool:
        await until(lambda: works.begun == [A1])
        await quiet()
        await pool.revoked()
        works.end(A1, A2)
        await until(lambda: not pool.running)
        await quiet()
        assert works.begun == [A1]
        assert (first.acknowledged, second.acknowledged) == (False, False)


async def test_a_batch_is_acknowledged_when_all_of_it_is_done() -> None:
    works, first, second = Works(), Batch(A1, B1), Batch(A2)
    async with running(works, first, second):
        works.end(A1, A2)
        await until(lambda: A2 in works.ended and second.acknowledged)
        assert not first.acknowledged
        works.end(B1)
        await until(lambda: first.acknowledged)


async def test_calls_and_what_waits_for_them_are_bounded() -> None:
    works = Works()
    batches = [Batch(*(Record(b"%d" % key, number) for key in range(4))) for number in range(5)]
    async with running(works, *batches, calls=3, most=8) as pool:
        await quiet()
        assert (len(works.begun), len(pool.begun)) == (3, 8)
        works.end(*batches[0].value)
        await until(lambda: batches[0].acknowledged)
        await quiet()
        assert (len(works.begun) - len(works.ended), len(pool.begun)) == (3, 8)
        assert {record.number for record in works.begun} <= {0, 1}


async def test_who_waits_aside_holds_up_its_own_key_alone() -> None:
    batches = [Batch(Record(b"a", number)) for number in range(20)]
    done: list[Record] = []
    spent = True

    async def work(record: Record) -> None:
        while spent and record.key == b"a":
            await pool.aside(0)
        done.append(record)

    pool = OrderedPool(work, 1)
    task = asyncio.ensure_future(pool.run(Stream(*batches, Batch(B1))))
    await until(lambda: done == [B1])
    spent = False
    await until(lambda: not pool.running)
    assert done == [B1, *(batch.value[0] for batch in batches)]
    assert all(batch.acknowledged for batch in batches)
    task.cancel()


async def test_revocation_voids_what_has_not_begun() -> None:
    works, batch = Works(), Batch(A1, A2, B1)
    async with running(works, batch, calls=2) as pool:
        await until(lambda: works.begun == [A1, B1])
        await pool.revoked()
        works.end(A1, A2, B1)
        await until(lambda: not pool.running)
        assert works.ended == [A1, B1]
        assert not batch.acknowledged


async def test_after_a_revocation_new_work_is_acknowledged() -> None:
    works, lost, redelivered = Works(), Batch(A1), Batch(A1)
    async with running(works, lost) as pool:
        await until(lambda: works.begun)
        await pool.revoked()
        works.end(A1)
        again = asyncio.ensure_future(pool.run(Stream(redelivered)))
        await until(lambda: redelivered.acknowledged)
        assert not lost.acknowledged
        again.cancel()


async def test_finished_keys_are_forgotten() -> None:
    works, batch = Works(), Batch(A1, A2, B1)
    async with running(works, batch) as pool:
        works.end(A1, A2, B1)
        await until(lambda: batch.acknowledged)
        await quiet()
        assert (pool.last, pool.running) == ({}, set())


async def test_stopping_ends_what_runs_and_begins_nothing() -> None:
    """A2 waits for A1, which is answered only while the pool stops."""
    works, done, cut = Works(), Batch(A1), Batch(A2)

    async def parting() -> None:
        works.end(A1)

    pool = OrderedPool(works, 8, parting=parting)
    task = asyncio.ensure_future(pool.run(Stream(done, cut)))
    await until(lambda: works.begun == [A1])
    await pool.stop()
    assert works.begun == works.ended == [A1]
    assert (done.acknowledged, cut.acknowledged, pool.running) == (True, False, set())
    task.cancel()


async def test_what_cannot_end_does_not_delay_the_stop_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.ordered_pool.GRACE_S", 0.01)
    works, batch = Works(), Batch(A1, A2)
    pool = OrderedPool(works, 8)
    task = asyncio.ensure_future(pool.run(Stream(batch)))
    await until(lambda: works.begun == [A1])
    await asyncio.wait_for(pool.stop(), 20)
    assert (works.begun, works.ended, batch.acknowledged) == ([A1], [], False)
    task.cancel()


FAILING = """
import asyncio
from agents.ordered_pool import OrderedPool
from tests.agents.test_ordered_pool import Batch, Record, Stream

class Loud(Batch):
    def ack(self):
        print("acknowledged", self.value[0].number, flush=True)

async def work(record):
    print("work", record.number, flush=True)
    if record.number == 2:
        raise RuntimeError("this record cannot be worked")

async def parting():
    print("parting", flush=True)

async def main():
    batches = [Loud(Record(b"a", 1)), Loud(Record(b"a", 2), Record(b"a", 3)), Loud(Record(b"a", 4))]
    await asyncio.wait_for(OrderedPool(work, 8, parting=parting).run(Stream(*batches)), 20)

asyncio.run(main())
"""


def test_work_that_fails_ends_the_process_unacknowledged_and_nothing_overtakes_it() -> None:
    ended = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 70
    said = ended.stdout.splitlines()
    assert [line for line in said if line.startswith("work")] == ["work 1", "work 2"]
    assert [line for line in said if line.startswith("acknowledged")] == ["acknowledged 1"]
    assert "parting" in said
    assert "this record cannot be worked" in ended.stdout + ended.stderr
