"""What a stage asks for each batch costs the same however much an anima holds already."""

from collections.abc import Iterator
from typing import Any

import pytest

from sinks.database import Pool, sql
from tests.sinks.conftest import WREN

HISTORY, FEW = 5_000, 20
FILLED = (
    "INSERT INTO documents SELECT %(anima)s, 0, 0, n, 0, 0, 0, '' FROM generate_series(0, %(last)s) AS n",
    "INSERT INTO animas VALUES (%(anima)s, 'wren', 1, 'wren', NULL, NULL, %(last)s + 1, now(), now())",
    "INSERT INTO events SELECT gen_random_uuid(), %(anima)s, n, 1, n * 3, now(), now(), 'm', 'x' "
    "FROM generate_series(0, %(last)s) AS n",
    "INSERT INTO memories SELECT 1, gen_random_uuid(), 1, %(anima)s, n, 's', 'c', 1, 1, 'ACTIVE', now(), now(), now(), "
    "NULL, 'm', 'p', 'h', '{}', n, n, 1, n FROM generate_series(0, %(last)s) AS n",
    "INSERT INTO windows SELECT 1, %(anima)s, n * 3, 1, n * 3, n, n, gen_random_uuid() "
    "FROM generate_series(0, 1000) AS n",
    "ANALYZE",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values", "answer"),
    [
        ("documents_next_seq", [[WREN], [0], [0]], {"next_seq": HISTORY}),
        ("memories_next_seq", [[1], [WREN]], {"next_seq": HISTORY}),
        ("windows_last", [1, WREN], {"last_seq": 1000}),
        ("windows_span", {"anima": WREN, "first_seq": 7, "last_offset": 33}, {"first_offset": 21, "last_seq": 11}),
        ("synthesis_pending", {"anima": WREN, "generation": 1, "most": 5}, {"offset": 3003}),
    ],
)  # fmt: skip
async def test_few_rows_are_read(rows: Pool, name: str, values: Any, answer: dict[str, int]) -> None:
    async with rows.connection() as connection:
        for statement in FILLED:
            await connection.execute(statement, {"anima": WREN, "last": HISTORY - 1} if "%" in statement else None)
        found = await (await connection.execute(sql(name), values)).fetchone()
        cursor = await connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql(name), values)
        row = await cursor.fetchone()
    assert found is not None
    assert {key: found[key] for key in answer} == answer
    assert row is not None
    assert max(read_rows(row["QUERY PLAN"][0]["Plan"])) <= FEW


def read_rows(plan: dict[str, Any]) -> Iterator[float]:
    """Of each node of a plan the rows that it looked at, over all its loops."""
    yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for child in plan.get("Plans", ()):
        yield from read_rows(child)
