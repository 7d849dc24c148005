"""How far each stage has come: read, waited for, and moved by compare-and-set."""

import asyncio
from collections.abc import Iterable
from typing import Any

import psycopg
from aiokafka.structs import TopicPartition

from sinks.database import Pool, reach, sql
from streams.consumer import NotOwner
from streams.positions import Position


class NotYet(Exception):
    """The view has not caught up within the limit."""


async def load(pool: Pool, stage: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Next offset per partition; partitions never touched are left out."""
    wanted = set(partitions)
    async with pool.connection() as connection:
        rows = await (await connection.execute(sql("progress_load"), [stage])).fetchall()
    found = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    return {tp: offset for tp, offset in found.items() if tp in wanted}


async def take_over(pool: Pool, stage: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """The same for who is about to move them, as soon as Postgres answers: workers that froze in a transaction lose it
    and its locks.
    """
    await reach(pool)
    async with pool.connection() as connection:
        await connection.execute(sql("progress_release"))
    return await load(pool, stage, partitions)


async def advance(
    connection: psycopg.AsyncConnection[Any],
    stage: str,
    expected: dict[TopicPartition, int],
    reached: dict[TopicPartition, int],
) -> None:
    """Within the caller's transaction, before its rows. Raises NotOwner if someone else moved or holds a partition."""
    moves = list(expected)
    columns = [
        [tp.topic for tp in moves],
        [tp.partition for tp in moves],
        [expected[tp] for tp in moves],
        [reached[tp] for tp in moves],
    ]
    await connection.execute(sql("transaction_limits"))
    try:
        cursor = await connection.execute(sql("progress_advance"), [stage, *columns])
    except psycopg.errors.LockNotAvailable:
        raise NotOwner(f"{stage}: another worker holds a partition") from None
    if cursor.rowcount != len(moves):
        raise NotOwner(f"{stage}: {cursor.rowcount} of {len(moves)} partitions stood where they were left")


async def wait(pool: Pool, stage: str, position: Position, limit_s: float) -> None:
    """Until `stage` has passed `position`. Raises NotYet after `limit_s` seconds."""
    deadline = asyncio.get_running_loop().time() + limit_s
    pause = 0.002
    while True:
        reached = await load(pool, stage, [TopicPartition(position.topic, position.partition)])
        if reached.get(TopicPartition(position.topic, position.partition), 0) > position.offset:
            return
        if asyncio.get_running_loop().time() >= deadline:
            raise NotYet(f"{stage} has not reached {position} within {limit_s:g} s")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.05)
