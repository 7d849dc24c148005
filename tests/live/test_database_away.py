"""A database that goes away under the stages at work: they wait, go on where it stands, and none of them ends."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from sinks.database import Pool, dsn, pool, reach
from tests.conftest import World
from tests.live.log import eventually, send
from tests.live.test_synthesize import ANIMAS, check, conversation, select

WINDOW = 20  # events, as the rule has it
STAGES = ("score", "sink", "index", "embed", "synthesize")
FOUND_BY = ("documents", "vectors_384")  # tables with a row for each event and memory
INDEXED = "SELECT count(*)::int AS items FROM documents"
ABSENCES_S = (0.0, 0.0, 2.0, 7.0)  # the last is longer than anybody waits for a connection


async def away(server: psycopg.AsyncConnection[Any], name: str, seconds: float) -> None:
    """Every session is ended; for so long nobody gets a new one."""
    await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
    await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    await asyncio.sleep(seconds)
    await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


async def more(rows: Pool, before: dict[str, Any]) -> bool:
    return await select(rows, INDEXED) != [before]


async def test_stages_outlive_the_connections_to_their_database(make_world: Callable[..., Any]) -> None:
    world: World = await make_world(token_weight=0.0)
    workers = [world.stage(name) for name in STAGES]
    database = str(conninfo_to_dict(dsn(world.settings))["dbname"])
    server = dsn(world.settings).replace(f"/{database}?", "/elephantasm?")
    said = conversation(WINDOW * (1 + len(ABSENCES_S)))
    async with pool(world.settings) as rows:

        async def complete(windows: int) -> bool:
            counts = [await select(rows, f"SELECT count(*)::int AS items FROM {table}") for table in FOUND_BY]
            return all(one["items"] == ANIMAS * windows * (WINDOW + 1) for [one] in counts)

        await send(world.settings, said[: ANIMAS * WINDOW])
        await eventually(partial(complete, 1), 60, "all are at work")
        async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
            for number, seconds in enumerate(ABSENCES_S, start=1):
                [before] = await select(rows, INDEXED)
                await send(world.settings, said[number * ANIMAS * WINDOW :][: ANIMAS * WINDOW])
                await eventually(partial(more, rows, before), 60, "they are in the middle of it")
                await away(connection, database, seconds)
                await reach(rows)
        await eventually(partial(complete, 1 + len(ABSENCES_S)), 120, "every item is there, its words and its vector")
        await check(rows, len(said) // ANIMAS)
    assert [worker.poll() for worker in workers] == [None] * len(STAGES)
