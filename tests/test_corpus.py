"""The synthetic animas of the benchmarks are rows as the stages write them."""

import psycopg
from psycopg.rows import dict_row

from benchmarks.corpus import START, anima, seed


async def test_its_rows_are_those_that_the_sink_writes(database: str) -> None:
    await seed(database, lambda _: None, {20: 1})
    async with await psycopg.AsyncConnection.connect(database, row_factory=dict_row) as rows:
        events = await (await rows.execute("SELECT * FROM events ORDER BY seq")).fetchall()
        memories = await (await rows.execute("SELECT * FROM memories ORDER BY seq")).fetchall()
    assert [(one["seq"], one["offset"], one["author"], one["anima_id"]) for one in events] == [
        (seq, seq, f"speaker {seq % 3}", anima(20, 0)) for seq in range(20)
    ]
    assert events[0]["recorded_at"] == events[0]["occurred_at"] == START
    assert [len(one["content"].split()) for one in events + memories] == [16] * 22
    assert [(one["seq"], one["offset"], one["model"]) for one in memories] == [
        (0, 0, "extractive"),
        (1, 1, "extractive"),
    ]
