import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from sinks import migrate as migrations
from sinks.migrate import MigrationChanged, declared, migrate, pending


@pytest.fixture
async def empty(database: str) -> AsyncIterator[str]:
    """A database with nothing in it."""
    name = "empty_" + database.rpartition("/")[2].partition("?")[0]
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
        yield database.replace(database.rpartition("/")[2].partition("?")[0], name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Migrations of the test's own."""
    monkeypatch.setattr(migrations, "FOLDER", tmp_path)
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (n int); INSERT INTO first VALUES (1)")
    return tmp_path


async def test_what_is_applied_is_not_applied_again(database: str) -> None:
    assert await migrate(database) == []


async def test_an_empty_database_lacks_all(empty: str) -> None:
    names = [name for name, _ in declared()]
    async with await psycopg.AsyncConnection.connect(empty) as connection:
        assert await pending(connection) == names
    assert await migrate(empty) == names
    async with await psycopg.AsyncConnection.connect(empty) as connection:
        assert await pending(connection) == []


async def test_an_edited_migration_is_refused(empty: str, folder: Path) -> None:
    assert await migrate(empty) == ["0001_first"]
    (folder / "0001_first.sql").write_text("CREATE TABLE first (n bigint)")
    (folder / "0002_second.sql").write_text("CREATE TABLE second (n int)")
    with pytest.raises(MigrationChanged, match="0001_first was applied with other contents"):
        await migrate(empty)
    async with await psycopg.AsyncConnection.connect(empty) as connection:
        assert await pending(connection) == ["0002_second"]


async def test_a_migration_that_fails_leaves_nothing(empty: str, folder: Path) -> None:
    (folder / "0002_second.sql").write_text("CREATE TABLE second (n int); SELECT 1 / 0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate(empty)
    (folder / "0002_second.sql").write_text("CREATE TABLE second (n int)")
    assert await migrate(empty) == ["0002_second"]


async def test_migrators_take_turns(empty: str, folder: Path) -> None:
    applied = await asyncio.gather(*[migrate(empty) for _ in range(4)])
    assert sorted(applied) == [[], [], [], ["0001_first"]]
    async with await psycopg.AsyncConnection.connect(empty) as connection:
        assert await (await connection.execute("SELECT n FROM first")).fetchall() == [(1,)]
