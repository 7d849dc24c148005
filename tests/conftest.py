"""What tests share: one embedded stack for the session, a database of one's own, a log of one's own beside it.

Tests that ask for none of these run without any server.
"""

import itertools
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import psycopg
import pytest
from pydantic import SecretStr

from sinks.database import dsn
from sinks.migrate import migrate
from stack.embedded import Stack
from stack.environment import variables
from stack.settings import Settings
from streams.admin import ensure_topics

_numbers = itertools.count(1)
# How long an example takes says something of the machine, nothing of the code.
hypothesis.settings.register_profile("elephantasm", deadline=None)
hypothesis.settings.load_profile("elephantasm")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stack_settings(folder: Path, **others: Any) -> Settings:
    """Settings of a stack in `folder`, on ports that nobody uses."""
    return Settings(
        _env_file=None,
        data_dir=folder,
        kafka_port=free_port(),
        kafka_controller_port=free_port(),
        api_port=free_port(),
        **others,
    )


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka, Postgres, every stage and the API, on free ports."""
    running = Stack(stack_settings(tmp_path_factory.mktemp("stack")))
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the stack's API."""
    base = f"http://127.0.0.1:{stack.settings.api_port}/api"
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        yield client


@pytest.fixture
async def database(stack: Stack) -> AsyncIterator[str]:
    """The connection string of a fresh database with all migrations applied."""
    name, server = f"test_{next(_numbers)}", dsn(stack.settings)
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
        fresh = server.replace("/elephantasm?", f"/{name}?")
        await migrate(fresh)
        yield fresh
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class World:
    """A log and a database of one's own on the session's servers; no stage runs unless the test starts it."""

    settings: Settings
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def stage(self, name: str, worker: str = "1") -> "subprocess.Popen[bytes]":
        """Start a stage as a process of its own; it is killed when the test ends."""
        return self.run(f"{name}-{worker}", "stage", name, worker=worker)

    def run(self, log_name: str, *command: str, **changed: Any) -> "subprocess.Popen[bytes]":
        """The same with any command of `elephantasm`, under settings that differ from the world's by `changed`."""
        settings = self.settings.model_copy(update=changed)
        settings.__pydantic_fields_set__.update(changed)
        with (self.folder / f"{log_name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "stack.cli", *command],
                env=os.environ | variables(settings),
                stdout=log,
                stderr=log,
            )
        self.workers.append(process)
        return process


@pytest.fixture
async def make_world(stack: Stack, database: str, tmp_path: Path) -> AsyncIterator[Callable[..., "World"]]:
    """`await make_world(**settings)`: a world under these settings."""
    worlds: list[World] = []

    async def make(**chosen: Any) -> World:
        settings = Settings(
            _env_file=None,
            kafka=f"127.0.0.1:{stack.settings.kafka_port}",
            database=SecretStr(database),
            data_dir=stack.settings.data_dir,
            topic_prefix=f"test{next(_numbers)}.",
            **chosen,
        )
        await ensure_topics(settings)
        worlds.append(World(settings, tmp_path))
        return worlds[-1]

    yield make  # type: ignore[misc]
    for world in worlds:
        for process in world.workers:
            process.kill()
            process.wait()


@pytest.fixture
async def world(make_world: Callable[..., "World"]) -> World:
    return await make_world()  # type: ignore[misc,no-any-return]
