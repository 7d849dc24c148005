"""Which stages have stopped because too many records failed: for operators, and for the process that comes next."""

from typing import Any

import psycopg

from sinks.database import Pool, sql
from streams.failure_share import MostlyFailing, Tally


async def load(pool: Pool, stage: str) -> Tally | None:
    """The run with which the stage stopped; None if it did not."""
    async with pool.connection() as connection:
        query = "SELECT records, failures FROM stops WHERE stage = %s"
        row = await (await connection.execute(query, [stage])).fetchone()
    return Tally(row["records"], row["failures"]) if row else None


async def note(pool: Pool, stage: str, stopped: MostlyFailing) -> None:
    async with pool.connection() as connection:
        reason = str(stopped).replace("\x00", "�")
        await connection.execute(sql("stops_upsert"), [stage, *stopped.run, reason])


async def clear(connection: psycopg.AsyncConnection[Any], stage: str) -> None:
    """The stage goes on."""
    await connection.execute("DELETE FROM stops WHERE stage = %s", [stage])
