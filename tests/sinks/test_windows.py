"""Claims are contiguous and disjoint whatever the triggers say."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from sinks.database import Pool, sql
from sinks.memories import write
from sinks.windows import Claim, Gap, claim, window_events
from streams.records import Event
from tests.sinks.conftest import WREN, arrival, memory, trigger, write_events


async def spans(rows: Pool) -> list[tuple[int, int]]:
    async with rows.connection() as connection:
        cursor = await connection.execute("SELECT first_seq, last_seq FROM windows ORDER BY first_seq")
        return [(row["first_seq"], row["last_seq"]) for row in await cursor.fetchall()]


async def test_a_window_reaches_from_the_last_claim_to_the_trigger(rows: Pool) -> None:
    await write_events(rows, [arrival(offset) for offset in range(0, 20, 2)])
    assert await claim(rows, 1, trigger(0, 6)) == Claim(0, 6, 0, 3)
    # A trigger that leaves a gap, as from a worker that lost its state: the gap belongs to its window.
    with pytest.raises(Gap, match="from 8 on, before 12,"):
        await claim(rows, 1, trigger(12, 14))
    assert await spans(rows) == [(0, 3)]
    assert await claim(rows, 1, trigger(12, 14), gap=True) == Claim(8, 14, 4, 7)


async def test_a_late_trigger_claims_nothing(rows: Pool) -> None:
    await write_events(rows, [arrival(offset) for offset in range(10)])
    await claim(rows, 1, trigger(0, 6))
    assert await claim(rows, 1, trigger(2, 4)) is None
    assert await claim(rows, 1, trigger(3, 6, number=99)) is None
    assert await spans(rows) == [(0, 6)]


async def test_who_claimed_before_gets_it_again(rows: Pool) -> None:
    await write_events(rows, [arrival(offset) for offset in range(10)])
    first = await claim(rows, 1, trigger(0, 3))
    await claim(rows, 1, trigger(4, 6))
    assert first is not None
    assert await claim(rows, 1, trigger(0, 3)) == first
    assert await spans(rows) == [(0, 3), (4, 6)]


async def test_a_database_built_anew_learns_its_claims_from_the_memories(rows: Pool) -> None:
    await write_events(rows, [arrival(offset) for offset in range(10)])
    told = memory(5, seqs=(0, 1, 2, 3, 4, 5))
    async with rows.connection() as connection, connection.transaction():
        await write(connection, [(told, 1, 0)])
    assert await claim(rows, 1, trigger(2, 4)) is None
    assert await claim(rows, 1, trigger(6, 8)) == Claim(6, 8, 6, 8)


async def test_repeats_alone_make_no_window(rows: Pool) -> None:
    repeat = Event(event_type="m", content="x", dedupe_key="k")
    await write_events(rows, [arrival(0, repeat), arrival(1, repeat), arrival(2, repeat)])
    assert await claim(rows, 1, trigger(0, 0)) is not None
    assert await claim(rows, 1, trigger(1, 2)) is None


async def test_generations_claim_for_themselves(rows: Pool) -> None:
    await write_events(rows, [arrival(offset) for offset in range(4)])
    assert await claim(rows, 1, trigger(0, 3)) == await claim(rows, 2, trigger(0, 3))


@pytest.mark.parametrize("seed", range(3))
async def test_claims_at_the_same_moment_do_not_overlap(rows: Pool, seed: int) -> None:
    await write_events(rows, [arrival(offset) for offset in range(40)])
    triggers = [trigger(first, first + 4) for first in range(0, 40, 5)] * 2
    random.Random(seed).shuffle(triggers)
    claims = await asyncio.gather(*[claim(rows, 1, one, gap=True) for one in triggers])
    found = await spans(rows)
    assert [seq for first, last in found for seq in range(first, last + 1)] == list(range(40))
    assert {(one.first_seq, one.last_seq) for one in claims if one} == set(found)


async def test_a_window_s_events_are_in_log_order(rows: Pool) -> None:
    await write_events(rows, [arrival(offset) for offset in range(6)])
    await claim(rows, 1, trigger(0, 1))
    second = await claim(rows, 1, trigger(2, 4))
    assert second is not None
    assert [event.content for event in await window_events(rows, WREN, second)] == ["said 2", "said 3", "said 4"]


class Freezing:
    """A pool whose user freezes between two statements, for as long as the test says."""

    def __init__(self, rows: Pool) -> None:
        self.rows, self.frozen, self.thaw = rows, asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self.rows.connection() as connection:
            yield _Freezing(connection, self)


class _Freezing:
    def __init__(self, connection: Any, of: Freezing) -> None:
        self.connection, self.of, self.transaction = connection, of, connection.transaction

    async def execute(self, query: Any, *values: Any) -> Any:
        if query == sql("windows_span"):
            self.of.frozen.set()
            await self.of.thaw.wait()
        return await self.connection.execute(query, *values)


async def test_a_frozen_claimer_does_not_hold_up_the_sink(rows: Pool) -> None:
    """It holds its anima's row, which the sink needs for the next event."""
    await write_events(rows, [arrival(offset) for offset in range(10)])
    freezing: Any = Freezing(rows)
    claiming = asyncio.ensure_future(claim(freezing, 1, trigger(0, 6)))
    await freezing.frozen.wait()
    async with asyncio.timeout(30):
        await write_events(rows, [arrival(10)])
    freezing.thaw.set()
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        await claiming
    assert await claim(rows, 1, trigger(0, 6)) == Claim(0, 6, 0, 6)
