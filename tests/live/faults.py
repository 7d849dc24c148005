"""Workers that are killed or frozen while they work, and a broker that is frozen."""

import asyncio
import random
import signal
import subprocess
from collections.abc import Awaitable, Callable

from stack import kafka
from stack.directory import DataDirectory
from stack.settings import Settings
from tests.conftest import World

SESSION_S = 8.0


class Workers:
    """Two workers of one stage. A worker that ended by itself is started again, as the process manager does."""

    def __init__(self, start: Callable[[str], "subprocess.Popen[bytes]"], seed: int = 1, names: str = "ab") -> None:
        self.start, self.random = start, random.Random(seed)
        self.processes = {name: start(name) for name in names}

    @classmethod
    def of(cls, world: World, stage: str) -> "Workers":
        return cls(lambda name: world.stage(stage, name))

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def revive(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                self.processes[name] = self.start(name)

    async def killed(self, times: int) -> None:
        """Kills one of them every few seconds: mostly it returns at once, once it stays away beyond the session."""
        absences = [0.3, SESSION_S + 2, 0.0, 0.3, 0.0]
        for number in range(times):
            await asyncio.sleep(self.random.uniform(1.5, 3.5))
            self.kill(self.random.choice("ab"))
            await asyncio.sleep(absences[number % len(absences)])
            self.revive()

    async def frozen(self, name: str, seconds: float) -> None:
        self.processes[name].send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.processes[name].send_signal(signal.SIGCONT)

    async def watched(self, condition: Callable[[], Awaitable[bool]], limit_s: float, what: str) -> None:
        """Until `condition` holds, workers that end by themselves being started again."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while not await condition():
            assert asyncio.get_running_loop().time() < deadline, f"not within {limit_s:g} s: {what}"
            self.revive()
            await asyncio.sleep(0.3)


class Broker:
    """A Kafka of one's own, to be frozen."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        directory = DataDirectory(settings.data_dir)
        directory.prepare({})
        kafka.prepare(directory, settings)
        with (directory.logs / "kafka.log").open("ab") as log:
            self.process = subprocess.Popen(kafka.command(directory), stdout=log, stderr=log)

    def check(self) -> None:
        assert self.process.poll() is None

    async def frozen(self, seconds: float) -> None:
        self.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
