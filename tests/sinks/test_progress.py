import asyncio

import psycopg
import pytest
from aiokafka.structs import TopicPartition

from sinks import progress
from sinks.database import Pool
from sinks.progress import NotYet
from streams.consumer import NotOwner
from streams.positions import Position
from tests.live.log import eventually

A, B = TopicPartition("log", 0), TopicPartition("log", 1)


async def advance(rows: Pool, expected: dict[TopicPartition, int], reached: dict[TopicPartition, int]) -> None:
    async with rows.connection() as connection, connection.transaction():
        await progress.advance(connection, "sink", expected, reached)


async def test_progress_moves_from_where_it_was(rows: Pool) -> None:
    await advance(rows, {A: 0, B: 0}, {A: 10, B: 5})
    await advance(rows, {A: 10}, {A: 12})
    assert await progress.load(rows, "sink", [A, B]) == {A: 12, B: 5}
    assert await progress.load(rows, "sink", [B]) == {B: 5}
    assert await progress.load(rows, "index", [A, B]) == {}


@pytest.mark.parametrize("expected", [{A: 0}, {A: 9}, {A: 11}, {B: 1}, {A: 10, B: 1}])
async def test_who_expects_something_else_is_not_the_owner(rows: Pool, expected: dict[TopicPartition, int]) -> None:
    await advance(rows, {A: 0}, {A: 10})
    with pytest.raises(NotOwner):
        await advance(rows, expected, dict.fromkeys(expected, 20))
    assert await progress.load(rows, "sink", [A, B]) == {A: 10}


@pytest.mark.parametrize("start", [0, 10])
async def test_of_two_at_the_same_moment_one_is_the_owner(rows: Pool, start: int) -> None:
    if start:
        await advance(rows, {A: 0}, {A: start})
    both = asyncio.Barrier(2)

    async def compete(reached: int) -> int:
        async with rows.connection() as connection, connection.transaction():
            await both.wait()
            await progress.advance(connection, "sink", {A: start}, {A: reached})
        return reached

    ends = await asyncio.gather(compete(20), compete(30), return_exceptions=True)
    [winner] = [end for end in ends if isinstance(end, int)]
    assert sum(isinstance(end, NotOwner) for end in ends) == 1
    assert await progress.load(rows, "sink", [A]) == {A: winner}


async def test_a_frozen_owner_gives_way(rows: Pool) -> None:
    """Else its locks would stop its successor for as long as it is frozen."""
    async with rows.connection() as connection, connection.transaction():
        await progress.advance(connection, "sink", {A: 0}, {A: 1})
        limit = await (await connection.execute("SHOW idle_in_transaction_session_timeout")).fetchone()
    assert limit == {"idle_in_transaction_session_timeout": "8s"}


async def test_an_owner_frozen_in_a_copy_gives_way(rows: Pool) -> None:
    """No time-out of PostgreSQL ends a COPY that waits for its client; whoever takes over ends it."""
    await advance(rows, {A: 0}, {A: 5})

    async def freeze() -> None:
        async with rows.connection() as connection, connection.transaction():
            await progress.advance(connection, "sink", {A: 5}, {A: 6})
            async with connection.cursor() as cursor, cursor.copy("COPY authors FROM STDIN"):
                with pytest.raises(NotOwner, match="another worker holds a partition"):
                    await advance(rows, {A: 5}, {A: 7})  # waits for the lock, but not for ever
                assert await progress.take_over(rows, "sink", [A]) == {A: 5}
                await advance(rows, {A: 5}, {A: 7})

    with pytest.raises(psycopg.errors.AdminShutdown):
        await freeze()
    assert await progress.load(rows, "sink", [A]) == {A: 7}


async def test_an_owner_frozen_before_it_has_read_a_result_gives_way(rows: Pool) -> None:
    """It is larger than what the socket holds: Postgres waits for its client in the middle of it."""
    await advance(rows, {A: 0}, {A: 5})

    async def writing() -> bool:
        waits = "SELECT FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query_start < now() - interval '6s'"
        async with rows.connection() as connection:
            return bool(await (await connection.execute(waits)).fetchall())

    async with rows.connection() as connection, connection.transaction():
        await progress.advance(connection, "sink", {A: 5}, {A: 6})
        connection.pgconn.send_query(b"SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
        connection.pgconn.flush()
        await eventually(writing, 30, "Postgres waits for its client")
        assert await progress.take_over(rows, "sink", [A]) == {A: 5}
        await advance(rows, {A: 5}, {A: 7})
        connection.pgconn.finish()
    assert await progress.load(rows, "sink", [A]) == {A: 7}


@pytest.mark.parametrize("start", [0, 1])
async def test_two_who_move_many_partitions_do_not_deadlock(rows: Pool, start: int) -> None:
    every = [TopicPartition("log", number) for number in range(200)]
    if start:
        await advance(rows, dict.fromkeys(every, 0), dict.fromkeys(every, start))
    both = asyncio.Barrier(2)

    async def move(partitions: list[TopicPartition], reached: int) -> None:
        async with rows.connection() as connection, connection.transaction():
            await both.wait()
            await progress.advance(connection, "sink", dict.fromkeys(partitions, start), dict.fromkeys(every, reached))

    for goal in range(start + 1, start + 11):
        ends = await asyncio.gather(move(every, goal), move(every[::-1], goal), return_exceptions=True)
        assert [type(end) for end in ends if end] == [NotOwner]
        start = goal


async def test_waiting_ends_when_the_position_is_passed(rows: Pool) -> None:
    position = Position(A.topic, A.partition, 9)
    waiting = asyncio.ensure_future(progress.wait(rows, "sink", position, 30))
    await advance(rows, {A: 0}, {A: 9})
    with pytest.raises(NotYet, match=r"sink has not reached log/0/9 within 0 s"):
        await progress.wait(rows, "sink", position, 0)
    assert not waiting.done()
    await advance(rows, {A: 9}, {A: 10})
    await waiting
