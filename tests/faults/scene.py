"""The stack under test, its processes, and the model provider that it calls."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from pydantic import SecretStr

from stack.embedded import Stack
from stack.environment import variables
from stack.settings import EmbeddingProvider, LLMProvider, Settings
from stack.supervision import NotRunningError, Running
from streams.kafka import topics_of
from streams.offsets import Group, Offsets
from tests.conftest import stack_settings
from tests.faults.kinds import NotHit
from tests.faults.money import Repeats, paid_twice
from tests.faults.provider import Provider, providing
from tests.faults.rows import Stored
from tests.faults.second_broker import SecondBroker, second_broker
from tests.faults.small_disk import TABLES, SmallDisk, small_disk
from tests.faults.strikes import SERVERS, Strike
from tests.faults.violation import Violation
from tests.live.log import ends, eventually

GUESTS = 1  # workers of a stage besides those of the process manager
REST_S = 1.0
SESSION_S = 8.0  # after so long Kafka gives a silent worker's partitions to another


class Worker(NamedTuple):
    """A stage started beside those of the process manager."""

    stage: str
    process: "subprocess.Popen[bytes]"


@dataclass
class Scene:
    """`dice` is drawn from by the fault at hand; `workers` go by their pids; `broker` holds the topic of memories;
    `disk` the tables that grow, None where there are no mounts; `strikes` is all that was struck; the load sends while
    `gate` is set.
    """

    stack: Stack
    provider: Provider
    dice: random.Random
    broker: SecondBroker
    disk: SmallDisk | None
    workers: dict[int, Worker] = field(default_factory=dict)
    strikes: list[Strike] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def settings(self) -> Settings:
        return self.stack.settings

    def processes(self, *names: str) -> list[Running]:
        """The running processes of these programs: stages, `api`, `kafka`, `postgres`."""
        return running(self.stack, *names)

    def one_of(self, *names: str) -> Running:
        return self.dice.choice(self.processes(*names))

    def stage(self, name: str, worker: str, *, module: tuple[str, ...] = ("stack.cli", "stage"), **others: Any) -> int:
        """Start one more worker of a stage, not watched by the process manager; returns its pid."""
        settings = self.settings.model_copy(update={"worker": worker, **others})
        log_path = self.stack.directory.logs / f"{name}-{worker}.log"
        with log_path.open("ab") as log:
            command = [sys.executable, "-m", *module, name]
            process = subprocess.Popen(command, env=os.environ | variables(settings), stdout=log, stderr=log)
        self.workers[process.pid] = Worker(name, process)
        return process.pid

    def struck(self, name: str) -> None:
        """Every strike is noted, right before it falls or when it is seen; `name` is that of a process or a program."""
        now = time.time()
        self.strikes.append(Strike(name.partition("-")[0], now, now))

    def mended(self) -> None:
        """Everything works again, servers too."""
        for strike in self.strikes:
            if strike.program in SERVERS and strike.until == strike.at:
                strike.until = time.time()

    def hit(self, process: Running, how: signal.Signals) -> None:
        self._told(process.name, how)
        hit(process.pid, how)

    def _told(self, name: str, how: signal.Signals) -> None:
        """A worker that is told to end has to bring home what is on its way: that is no strike. A server's absence is
        one, whatever ends it.
        """
        if how is not signal.SIGTERM or name.partition("-")[0] in SERVERS:
            self.struck(name)

    async def freeze(self, processes: Sequence[Running], seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long. Their children stay as they are."""
        for process in processes:
            self.hit(process, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            for process in processes:
                hit(process.pid, signal.SIGCONT)

    def dismiss(self, pid: int, how: signal.Signals = signal.SIGTERM) -> None:
        """End a worker that `stage` has started, and wait for it."""
        if (worker := self.workers.get(pid)) is not None:
            self._told(worker.stage, how)
            worker.process.send_signal(how)
            worker.process.wait(30)
            del self.workers[pid]

    def require_running(self, pid: int) -> None:
        """Raises NotHit if a worker that `stage` has started has ended by itself."""
        if (code := self.workers[pid].process.poll()) is not None:
            raise NotHit(f"the worker of {self.workers[pid].stage} has ended with {code}, see its log")

    def kept_up(self, pid: int, start: Callable[[], int]) -> int:
        """As the process manager would: a worker that has ended itself is started again. Returns the pid by now. Raises
        NotHit if it ended for another reason.
        """
        if self.workers[pid].process.poll() == os.EX_SOFTWARE:
            del self.workers[pid]
            return start()
        self.require_running(pid)
        return pid

    async def joined(self, stage: str, members: int, limit_s: float = 60.0) -> None:
        """Until the group of a stage has so many members at work. Raises NotHit."""
        offsets, group = Offsets(self.settings), topics_of(self.settings).group(stage)

        async def joined() -> bool:
            try:
                return await offsets.group(group) == Group("Stable", members)
            except KafkaError:
                return False

        try:
            await eventually(joined, limit_s, f"{members} workers of {stage} in its group")
        except AssertionError as error:
            raise NotHit(str(error)) from None
        finally:
            await offsets.stop()

    async def end_of(self, pid: int, limit_s: float) -> int:
        """The exit code of a worker that `stage` has started. Raises TimeoutError if it does not end by itself."""
        try:
            code = await asyncio.to_thread(self.workers[pid].process.wait, limit_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        del self.workers[pid]
        return code

    def paid_twice(self, rows: Stored) -> tuple[list[Violation], Repeats]:
        most = self.settings.llm_concurrency * (self.settings.stage_processes + GUESTS)
        return paid_twice(rows, self.provider.account, self.strikes, self.settings.llm_timeout_s, most)

    @asynccontextmanager
    async def replaced(self, name: str) -> AsyncIterator[str]:
        """One worker of a stage is told to stop, and stays away while the block lasts; gives its name in the group, for
        another to take.
        """
        process = await self._steady(name)
        self.stack.supervisor.stop_process(process)
        await eventually(lambda: self._ended(process), 30, f"{process.name} has stopped")
        try:
            yield self.settings.worker + process.name.removeprefix(name)
        finally:
            self.stack.supervisor.start_process(process)

    @asynccontextmanager
    async def silent(self) -> AsyncIterator[None]:
        """The load sends nothing while the block lasts, and the log rests when it begins: from then on, besides what
        the fault itself sends, only ticks move a clock.
        """
        self.gate.clear()
        try:
            await eventually(self._at_rest, 60, "nobody writes to the log any more")
            yield
        finally:
            self.gate.set()

    async def _at_rest(self) -> bool:
        topic = topics_of(self.settings).events.name
        before = await ends(self.settings, topic)
        await asyncio.sleep(REST_S)
        return await ends(self.settings, topic) == before

    async def _steady(self, name: str) -> Running:
        """One that runs, once there is one: an earlier fault may have ended all of them a moment ago."""

        async def running() -> bool:
            return bool(self.processes(name))

        await eventually(running, 60, f"a {name} runs")
        return self.one_of(name)

    async def _ended(self, process: Running) -> bool:
        return not any(one.name == process.name and one.pid for one in self.stack.supervisor.processes())


def running(stack: Stack, *names: str) -> list[Running]:
    """The running processes of these programs; none if the stack does not run."""
    try:
        found = stack.supervisor.processes()
    except NotRunningError:
        return []
    return [one for one in found if one.pid and one.name.partition("-")[0] in names]


@asynccontextmanager
async def without(stack: Stack, name: str) -> AsyncIterator[None]:
    """All processes of a program are stopped while the block lasts."""
    stopped = running(stack, name)
    for process in stopped:
        stack.supervisor.stop_process(process)

    async def gone() -> bool:
        return not running(stack, name)

    await eventually(gone, 30, f"no {name} runs")
    try:
        yield
    finally:
        for process in stopped:
            stack.supervisor.start_process(process)


def hit(pid: int | None, how: signal.Signals) -> None:
    """A process that is gone needs no harm."""
    with suppress(ProcessLookupError):
        if pid:
            os.kill(pid, how)


def settings_for(folder: Path, provider: Provider, processes: int, **chosen: Any) -> Settings:
    usual: dict[str, Any] = {
        "api_processes": processes,
        "stage_processes": processes,
        "llm_provider": LLMProvider.openai,
        "llm_model": "scripted",
        "llm_base_url": provider.url,
        "llm_timeout_s": 4.0,
        "llm_daily_tokens": 0,
        "openai_api_key": SecretStr("none"),
        "embedding_provider": EmbeddingProvider.openai,
        "settled_timeout_s": 120.0,
    }
    return stack_settings(folder, **usual | chosen)


@asynccontextmanager
async def started(stack: Stack) -> AsyncIterator[None]:
    """The stack runs for the block. Whoever is told to end while it starts waits for that, and stops it: a thread
    cannot be cancelled, and would leave a running stack behind.
    """
    starting = asyncio.get_running_loop().run_in_executor(None, stack.start)
    try:
        await asyncio.shield(starting)
        yield
    finally:
        await asyncio.wait([starting])
        await asyncio.to_thread(stack.stop)


@asynccontextmanager
async def scene(
    folder: Path, dice: random.Random, *, small: Iterable[str] = TABLES, **chosen: Any
) -> AsyncIterator[Scene]:
    """The embedded stack, under the settings chosen, with two processes of everything, some tables on a small disk, and
    the provider; all of it ends with the block."""
    async with providing() as provider:
        stack = Stack(settings_for(folder, provider, 2, **chosen))
        async with started(stack), small_disk(stack.settings, small) as disk, second_broker(stack.settings) as broker:
            here = Scene(stack, provider, dice, broker, disk)
            try:
                yield here
            finally:
                for worker in here.workers.values():
                    worker.process.kill()
                    worker.process.wait()
                await asyncio.to_thread(stack.stop)  # the disk and the second broker have to outlive it
