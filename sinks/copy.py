"""COPY: the only way that rows enter in bulk."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql


async def copy_rows(
    connection: psycopg.AsyncConnection[Any], table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Append rows; values are None, or text as PostgreSQL reads it, or what psycopg adapts."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)


def moment(ms: int) -> datetime:
    """A Kafka timestamp as an aware datetime. Brokers take any number below now: before 1970 counts as 1970."""
    return datetime.fromtimestamp(max(0, ms) / 1000, UTC)


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def timestamp(ms: int) -> str:
    """The same moment as text that PostgreSQL reads. What is read in bulk was written in bulk: many have one moment."""
    second, rest = divmod(max(0, ms), 1000)
    return f"{_second(second)}.{rest:03d}+00"
