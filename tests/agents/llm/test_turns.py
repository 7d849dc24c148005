"""One payment for what several workers ask at once: on PostgreSQL, with workers that live, die and freeze."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from agents.llm.calls import Calls, Limits, Payer
from agents.llm.ledger import PostgresLedger
from agents.llm.turns import PostgresTurns
from tests.agents.llm.conftest import Provider
from tests.agents.llm.wire import MEMORY, held

INES = UUID("11111111-1111-4111-8111-111111111111")
LIMITS = Limits(concurrency=4, attempts=4, timeout_s=60, daily_tokens=0)
CALL = "ab" * 32
LONG_S = 60.0
SHORT_S = 0.3

# A worker that takes the turn, says so, and keeps it.
HOLDER = f"""
import asyncio, sys
from agents.llm.turns import PostgresTurns

async def main():
    async with PostgresTurns(sys.argv[1], {LONG_S}).turn("{CALL}"):
        print("mine", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def holder(dsn: str) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen([sys.executable, "-c", HOLDER, dsn], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "mine\n"
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def turns(dsn: str, patience_s: float = LONG_S) -> AsyncIterator[PostgresTurns]:
    made = PostgresTurns(dsn, patience_s)
    yield made
    await made.aclose()


@asynccontextmanager
async def worker(provider: Provider, dsn: str) -> AsyncIterator[Calls]:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(dsn, open=False, min_size=1, max_size=4)
    async with pool, turns(dsn) as mine:
        yield Calls(provider.model, PostgresLedger(pool), mine, LIMITS)


async def first(dsn: str, query: str) -> Any:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        row = await (await connection.execute(query.encode())).fetchone()
    return row[0] if row else None


async def sessions_in_line(dsn: str) -> int:
    """Those that hold a turn or have asked for one last."""
    asked = "datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()"
    return int(await first(dsn, f"SELECT count(*) FROM pg_stat_activity WHERE {asked}"))


async def turns_held(dsn: str) -> int:
    mine = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    return int(await first(dsn, f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND {mine}"))


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
async def test_workers_with_the_same_call_pay_once(provider: Provider, ledger_database: str) -> None:
    gate = asyncio.Event()
    provider.wire.will(held(provider.replies(json.dumps(MEMORY)), gate))
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(provider, ledger_database)) for _ in range(3)]
        asked = [asyncio.create_task(one.complete(provider.call(), Payer(INES))) for one in workers]
        await provider.wire.arrived.wait()
        async with asyncio.timeout(30):
            while await sessions_in_line(ledger_database) < 3 and len(provider.wire.asked) == 1:
                pass
        gate.set()
        replies = await asyncio.gather(*asked)
        assert await turns_held(ledger_database) == 0
    assert len(provider.wire.asked) == 1
    assert sorted(reply.recorded for reply in replies) == [False, True, True]
    assert len({reply.value for reply in replies}) == 1


async def test_who_is_killed_loses_its_turn(ledger_database: str) -> None:
    async with turns(ledger_database) as mine:
        with holder(ledger_database) as process:
            process.send_signal(signal.SIGKILL)
            async with asyncio.timeout(LONG_S / 2), mine.turn(CALL):
                assert await turns_held(ledger_database) == 1


async def test_who_is_frozen_is_not_waited_for_for_ever(ledger_database: str) -> None:
    async with turns(ledger_database, SHORT_S) as mine:
        with holder(ledger_database) as process:
            process.send_signal(signal.SIGSTOP)
            async with asyncio.timeout(LONG_S), mine.turn(CALL):
                assert await turns_held(ledger_database) == 1, "the frozen worker's session lives on"


async def test_other_calls_do_not_wait(ledger_database: str) -> None:
    async with turns(ledger_database) as mine:
        with holder(ledger_database):
            async with asyncio.timeout(LONG_S / 2), mine.turn("cd" * 32):
                assert await turns_held(ledger_database) == 2


async def test_a_lost_connection_is_replaced(ledger_database: str) -> None:
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    async with turns(ledger_database) as mine:
        async with mine.turn(CALL):
            await first(
                ledger_database, f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}"
            )
        async with asyncio.timeout(LONG_S / 2), mine.turn(CALL):
            assert await turns_held(ledger_database) == 1


async def test_without_a_database_calls_go_on() -> None:
    away = "host=127.0.0.1 port=9 dbname=none"
    async with turns(away, SHORT_S) as mine, asyncio.timeout(LONG_S), mine.turn(CALL):
        pass
