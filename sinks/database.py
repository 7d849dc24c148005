"""Connections to Postgres: one pool per process, and the SQL texts, which live in `sinks/sql/` under their names."""

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import structlog
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from stack.settings import Settings, SettingsError

log = structlog.get_logger()
FOLDER = Path(__file__).parent / "sql"
WAIT_S = 5.0  # for a connection
Pool = AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]


@cache
def sql(name: str) -> LiteralString:
    """The query in `sinks/sql/<name>.sql` without comments: psycopg parses one of more than 4 kB anew at each use."""
    lines = (FOLDER / f"{name}.sql").read_text().splitlines()
    return "\n".join(line.strip() for line in lines if not line.lstrip().startswith("--"))


def dsn(settings: Settings) -> str:
    """The connection string in force: the setting, or the embedded server's socket."""
    if settings.database is not None:
        return settings.database.get_secret_value()
    from stack.postgres import embedded_dsn

    return embedded_dsn(settings)


def pool(
    settings: Settings,
    size: int = 4,
    configure: Callable[[Any], Awaitable[None]] | None = None,
    *,
    checked: bool = True,
) -> Pool:
    """A pool, not opened yet; `configure` is run on each new connection. What Postgres closed is replaced by itself.

    Unless `checked`, which costs a round trip at each use, the first user of a closed connection meets its error.
    """

    async def check(connection: psycopg.AsyncConnection[Any]) -> None:
        """Where one has been closed the others have: one by one, the pool would pause longer after each."""
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            await made.check()
            raise

    options: dict[str, Any] = {"autocommit": True, "row_factory": dict_row, "application_name": "elephantasm"}
    try:
        psycopg.conninfo.conninfo_to_dict(dsn(settings))
    except psycopg.ProgrammingError as error:
        raise SettingsError(f"ELEPHANTASM_DATABASE: {error}") from None
    made = AsyncConnectionPool(
        dsn(settings),
        kwargs=options,
        min_size=1,
        max_size=size,
        open=False,
        timeout=WAIT_S,
        # Pauses between attempts to connect double until then; each caller that waits begins anew.
        reconnect_timeout=WAIT_S,
        check=check if checked else None,
        configure=configure,
    )
    return made


async def reach(pool: Pool) -> None:
    """Until Postgres gives a connection."""
    while True:
        try:
            async with pool.connection():
                return
        except PoolTimeout as error:
            log.warning("waiting for Postgres", reason=str(error))
