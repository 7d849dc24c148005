from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from sinks import memories
from sinks.database import Pool
from streams.records import Memory
from tests.sinks.conftest import AT, memory


async def write(rows: Pool, *written: Memory) -> None:
    async with rows.connection() as connection, connection.transaction():
        await memories.write(connection, [(one, 1, offset) for offset, one in enumerate(written)])


async def stored(rows: Pool, columns: str) -> list[tuple[Any, ...]]:
    async with rows.connection() as connection:
        cursor = await connection.execute(f"SELECT {columns} FROM memories ORDER BY seq")
        return [tuple(row.values()) for row in await cursor.fetchall()]


@pytest.mark.parametrize("together", [True, False])
async def test_a_revision_closes_the_one_before_it(rows: Pool, together: bool) -> None:
    first, second = memory(1), memory(1, 2, "s2")
    for batch in [[first, second]] if together else [[first], [second]]:
        await write(rows, *batch)
    assert await stored(rows, "revision, seq, summary, closed_at") == [
        (1, 0, "s", AT + timedelta(hours=2)),
        (2, 1, "s2", None),
    ]


async def test_a_repeat_of_a_revision_changes_nothing(rows: Pool) -> None:
    await write(rows, memory(1), memory(2), memory(1))
    before = await stored(rows, "*")
    await write(rows, memory(2, summary="other"), memory(1))
    assert await stored(rows, "*") == before
    assert await stored(rows, "seq, id::text") == [(0, str(memory(1).id)), (1, str(memory(2).id))]


async def test_links_and_span_are_kept(rows: Pool) -> None:
    await write(rows, memory(1, seqs=(4, 5, 6)))
    assert await stored(rows, "first_seq, last_seq") == [(4, 6)]
    async with rows.connection() as connection:
        cursor = await connection.execute("SELECT event_seq, weight FROM memory_events ORDER BY event_seq")
        links = [tuple(row.values()) for row in await cursor.fetchall()]
    assert links == [(seq, pytest.approx(1 / 3)) for seq in (4, 5, 6)]


@pytest.mark.parametrize("seqs", [(), (3, 3)])
def test_a_memory_names_each_of_its_events_once(seqs: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="each event once"):
        memory(1, seqs=seqs)
