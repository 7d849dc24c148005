import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from api.app import create_app
from sinks import migrate as migrations
from sinks.migrate import DatabaseNewer, MigrationChanged, declared, migrate, pending
from tests.api.conftest import client_of, eventually
from tests.conftest import World
from tests.stack.conftest import elephantasm


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


async def test_a_database_of_a_newer_release_is_refused(empty: str, folder: Path) -> None:
    (folder / "0003_newer.sql").write_text("CREATE TABLE newer (n int)")
    await migrate(empty)
    (folder / "0003_newer.sql").unlink()
    (folder / "0002_second.sql").write_text("CREATE TABLE second (n int)")
    with pytest.raises(DatabaseNewer, match="holds migration 0003_newer, which this release does not have"):
        await migrate(empty)
    async with await psycopg.AsyncConnection.connect(empty) as connection:
        with pytest.raises(DatabaseNewer, match="0003_newer"):
            await pending(connection)
        assert await (await connection.execute("SELECT to_regclass('second')")).fetchone() == (None,)


@pytest.fixture
async def newer(world: World, database: str) -> World:
    """A world whose database a newer release has migrated."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("INSERT INTO migrations (name, hash) VALUES ('9999_newer', '')")
    return world


async def test_the_command_line_says_that_the_database_is_newer(newer: World) -> None:
    refused = await asyncio.to_thread(elephantasm, newer.settings, "migrate")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("elephantasm: the database holds migration 9999_newer, which")
    assert "Traceback" not in refused.stderr


async def test_an_api_whose_database_is_newer_is_not_ready(newer: World) -> None:
    app = create_app(newer.settings)
    async with app.router.lifespan_context(app), client_of(app) as http:

        async def only_that_is_missing() -> bool:
            answer = await http.get("/readyz")
            assert answer.status_code == 503
            said = [missing.partition(",")[0] for missing in answer.json()["missing"]]
            return said == ["the database holds migration 9999_newer"]

        await eventually(only_that_is_missing)


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
