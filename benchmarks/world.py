"""What a benchmark stands on: servers of its own, workers as processes, everything in a temporary directory."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import conninfo
from pydantic import SecretStr

from benchmarks.rates import Sample
from sinks.database import dsn
from sinks.migrate import migrate
from stack import jars, kafka, postgres
from stack.directory import DataDirectory
from stack.embedded import Stack
from stack.environment import variables
from stack.processes import Program, programs
from stack.readiness import admin_step
from stack.settings import Settings
from streams.admin import ensure_topics

STOP_S = 60.0
POLL_S = 0.02  # asking takes time of the two cores: every 2 ms cost the stage a tenth
LOG_LINES = 20


@dataclass
class World:
    """`quick` asks for sizes that show that a benchmark works, not what the software can do."""

    folder: Path
    quick: bool
    say: Callable[[str], None]
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def runs(self) -> int:
        return 1 if self.quick else 3

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def settings(self, **chosen: Any) -> Settings:
        """Of a stack in a folder of its own, on ports that nobody uses."""
        return Settings(
            _env_file=None,
            data_dir=self.folder / f"stack-{next(self.numbers)}",
            kafka_port=free_port(),
            kafka_controller_port=free_port(),
            api_port=free_port(),
            **chosen,
        )


class Worker:
    """One process of the software."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process, self.log = process, log
        self.started_s = time.monotonic()

    def check(self) -> None:
        """Raises RuntimeError with the end of its log if it has ended."""
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            raise RuntimeError("\n".join([f"{self.log.name}: exit code {self.process.returncode}", *tail]))

    def sample(self, done: int) -> Sample:
        times = psutil.Process(self.process.pid).cpu_times()
        return Sample(time.monotonic(), done, times.user + times.system)

    def stop(self, how: int) -> None:
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def derived(settings: Settings, **changes: Any) -> Settings:
    """The same settings with some changed, and remembered as chosen."""
    kept = {name: getattr(settings, name) for name in settings.model_fields_set - changes.keys()}
    return Settings(_env_file=None, **kept, **changes)


@contextmanager
def servers(world: World) -> Iterator[Settings]:
    """Kafka and Postgres with the topics and tables, and no stage, until the block ends."""
    settings = world.settings(api_processes=1)
    directory = DataDirectory(settings.data_dir)
    directory.prepare({})
    if not jars.fetched():
        world.say(f"fetching Apache Kafka {jars.VERSION}")
        jars.fetch()
    kafka.prepare(directory, settings)
    postgres.prepare(directory, lambda _: None)
    with ExitStack() as running:
        started = [
            running.enter_context(_server(program, directory))
            for program in programs(settings, directory)
            if program.is_server
        ]

        def alive() -> None:
            for server in started:
                server.check()

        asyncio.run(admin_step(settings, alive))
        yield settings


@contextmanager
def _server(program: Program, directory: DataDirectory) -> Iterator[Worker]:
    log = directory.logs / f"{program.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            program.command, stdout=output, stderr=output, user=program.user, group=program.user,
            extra_groups=[] if program.user else None, start_new_session=True,
        )  # fmt: skip
    server = Worker(process, log)
    try:
        yield server
    finally:
        server.stop(2 if program.stop_signal == "INT" else 15)


@contextmanager
def worker(settings: Settings, *arguments: str, stdin: int | None = None) -> Iterator[Worker]:
    """`elephantasm ARGUMENTS` as a process; SIGTERM at the end of the block lets it finish what it has in hand."""
    log = settings.data_dir / "logs" / f"{'-'.join(arguments)}-{settings.generation}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "stack.cli", *arguments],
            env=os.environ | variables(settings), stdin=stdin, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    running = Worker(process, log)
    try:
        yield running
    finally:
        running.stop(15)


@contextmanager
def whole_stack(world: World, **chosen: Any) -> Iterator[Stack]:
    """Everything as in production: both servers, every stage, the API."""
    stack = Stack(world.settings(**chosen))
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


def new_log(settings: Settings, prefix: str) -> Settings:
    """Topics of one's own under `prefix`."""
    fresh = derived(settings, topic_prefix=prefix)
    asyncio.run(ensure_topics(fresh))
    return fresh


def new_database(settings: Settings, name: str) -> Settings:
    """A database of one's own with all migrations applied."""
    with psycopg.connect(dsn(settings), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    fresh = conninfo.make_conninfo(dsn(settings), dbname=name)
    asyncio.run(migrate(fresh))
    return derived(settings, database=SecretStr(fresh))


def watch_progress(settings: Settings, stage: str, topic: str, total: int, running: Worker) -> list[Sample]:
    """The moments at which `stage` had come further, until it has dealt with `total` records of `topic`."""
    samples: list[Sample] = []
    with psycopg.connect(dsn(settings), autocommit=True) as connection:
        while not samples or samples[-1].done < total:
            running.check()
            row = connection.execute(
                "SELECT coalesce(sum(next_offset), 0)::bigint FROM progress WHERE stage = %s AND topic = %s",
                [stage, topic],
            ).fetchone()
            assert row is not None
            if row[0] > (samples[-1].done if samples else 0):
                samples.append(running.sample(int(row[0])))
            time.sleep(POLL_S)
    return samples
