"""Migrations: the files of `sinks/migrations/` by name, each once, each in a transaction of its own."""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x656C6570  # one migrator at a time: an arbitrary number that is ours

_HISTORY = """
CREATE TABLE IF NOT EXISTS migrations (
    name       text PRIMARY KEY,
    hash       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationChanged(Exception):
    """A migration that has been applied was edited afterwards: the database and the files disagree."""


class DatabaseNewer(Exception):
    """A newer release has changed the database; what this one would do to it nobody has tried."""


def declared() -> list[tuple[str, str]]:
    """Name and text of every migration, in order."""
    return [(path.stem, path.read_text()) for path in sorted(FOLDER.glob("*.sql"))]


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing; returns the names applied. Raises MigrationChanged and DatabaseNewer."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        await connection.execute(_HISTORY)
        rows = await (await connection.execute("SELECT name, hash FROM migrations")).fetchall()
        applied: dict[str, str] = dict(rows)
        known = declared()
        missing = _missing(known, applied)
        for name, text in known:
            if name in applied and applied[name] != _hash(text):
                raise MigrationChanged(f"migration {name} was applied with other contents; restore the file")
        for name, text in missing:
            async with connection.transaction():
                await connection.execute(text.encode())
                await connection.execute("INSERT INTO migrations (name, hash) VALUES (%s, %s)", [name, _hash(text)])
        return [name for name, _ in missing]


async def pending(connection: psycopg.AsyncConnection[Any]) -> list[str]:
    """Declared migrations that the database does not have; all of them in an empty one. Raises DatabaseNewer."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        exists = await (await cursor.execute("SELECT to_regclass('migrations') IS NOT NULL")).fetchone()
        if not exists or not exists[0]:
            return [name for name, _ in declared()]
        applied = {name for (name,) in await (await cursor.execute("SELECT name FROM migrations")).fetchall()}
    return [name for name, _ in _missing(declared(), applied)]


def _missing(known: list[tuple[str, str]], applied: Collection[str]) -> list[tuple[str, str]]:
    """Name and text of each migration that is not applied. Raises DatabaseNewer if one is that is not known."""
    unknown = sorted(set(applied) - {name for name, _ in known})
    if unknown:
        raise DatabaseNewer(
            f"the database holds migration {', '.join(unknown)}, which this release does not have: a newer one wrote "
            "it. Run that release, or use another database (ELEPHANTASM_DATABASE, ELEPHANTASM_DATA_DIR)"
        )
    return [(name, text) for name, text in known if name not in applied]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
