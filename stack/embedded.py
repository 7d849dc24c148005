"""One stack: its servers, stages and API, as one thing that is started, looked at and stopped."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from stack import jars, kafka, leftovers, ports, postgres, supervision
from stack.directory import DataDirectory
from stack.environment import variables
from stack.errors import StackError
from stack.processes import MARK, programs
from stack.progress import Progress, Silent
from stack.readiness import admin_step, all_well, api_ready
from stack.settings import Settings
from stack.supervision import NotRunningError, Running, Supervisor
from stack.waiting import until

READY_S = 600.0
# Beyond what the stages, the API and the two servers are given, one after the other.
STOP_S = 180.0
# A process that died so often while the stack starts will not get better by itself.
HOPELESS_STARTS = 4
LOG_LINES = 12


@dataclass(frozen=True)
class Process:
    name: str
    state: str
    pid: int | None
    uptime_s: int
    restarts: int
    rss_bytes: int


@dataclass(frozen=True)
class Status:
    ready: bool
    reason: str
    processes: list[Process]


class Stack:
    """Raises StackError with a sentence for people whenever something cannot be done."""

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        self.progress = progress or Silent()
        self.directory = DataDirectory(settings.data_dir)

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.directory)

    def running(self) -> bool:
        return self.directory.exists() and self.supervisor.answers()

    def start(self) -> bool:
        """Until it is ready; False if it ran already. If it cannot become ready, nothing of it is left running."""
        self.directory.prepare(self._versions())
        with self.directory.exclusive():
            if self.running():
                return False
            self._stop_leftovers()
            self._require_ports()
            if not self.settings.kafka:
                jars.java()
            self._prepare_servers()
            supervision.configure(self.directory, programs(self.settings, self.directory))
            try:
                self._launch()
            except BaseException:
                self._shut_down()
                raise
        return True

    def stop(self) -> bool:
        """API and stages first, then the servers; False if nothing ran."""
        if not self.directory.exists():
            return False
        with self.directory.exclusive():
            return self._shut_down() or self._stop_leftovers() > 0

    def status(self) -> Status:
        try:
            found = self.supervisor.processes() if self.directory.exists() else []
        except NotRunningError:
            found = []
        if not found:
            return Status(False, "not running", [])
        down = [process.name for process in found if not process.pid]
        well, said = all_well(self.settings)
        reasons = [f"{', '.join(down)} not running"] if down else []
        reasons += [] if well else [said]
        return Status(not reasons, "; ".join(reasons), [_process(running) for running in found])

    def _versions(self) -> dict[str, str]:
        versions = {}
        if not self.settings.kafka:
            versions["Kafka"] = jars.VERSION
        if not self.settings.database:
            versions |= {"PostgreSQL": postgres.VERSION, "pgvector": postgres.pgvector_version()}
        return versions

    def _stop_leftovers(self) -> int:
        with self.progress.step("stopping what an earlier stack left running"):
            count = leftovers.stop(self.directory)
        if count:
            self.progress.say(f"stopped {count} processes that a killed stack had left running")
        return count

    def _require_ports(self) -> None:
        wanted = [(self.settings.api_host, self.settings.api_port, "ELEPHANTASM_API_PORT")]
        if ":" in self.settings.api_host:
            raise StackError(
                f"ELEPHANTASM_API_HOST={self.settings.api_host}: the stack serves IPv4. Set 127.0.0.1 or 0.0.0.0."
            )
        if not self.settings.kafka:
            wanted.append(("127.0.0.1", self.settings.kafka_port, "ELEPHANTASM_KAFKA_PORT"))
            wanted.append(("127.0.0.1", self.settings.kafka_controller_port, "ELEPHANTASM_KAFKA_CONTROLLER_PORT"))
        taken: dict[int, str] = {}
        for host, port, variable in wanted:
            if port in taken:
                raise StackError(f"{variable} and {taken[port]} are both {port}. Set one of them to another port.")
            taken[port] = variable
            ports.require_free(host, port, variable)

    def _prepare_servers(self) -> None:
        steps: list[Callable[[], None]] = []
        if not self.settings.kafka:
            steps.append(self._prepare_kafka)
        if not self.settings.database:
            steps.append(lambda: postgres.prepare(self.directory, self.progress.say))
        with self.progress.step("preparing Kafka and PostgreSQL"), ThreadPoolExecutor() as pool:
            for done in [pool.submit(step) for step in steps]:
                done.result()

    def _prepare_kafka(self) -> None:
        if not jars.fetched():
            self.progress.say(f"fetching Apache Kafka {jars.VERSION} (44 MB, once per checkout)")
            jars.fetch()
        kafka.prepare(self.directory, self.settings)

    def _launch(self) -> None:
        self.directory.forget_counts()
        supervision.launch(self.directory, {**variables(self.settings), MARK: str(self.directory.path)})
        with self.progress.step("starting Kafka and PostgreSQL, creating topics and tables"):
            asyncio.run(admin_step(self.settings, self._require_hope))
        for group in ("stages", "api"):
            self.supervisor.start(group)
        with self.progress.step("starting the stages and the API"):
            if not until(self._ready, READY_S):
                raise StackError(f"Not ready after {READY_S:.0f} s: {self.status().reason} See {self.directory.logs}.")

    def _ready(self) -> bool:
        # One that died while starting has to prove itself; the others only have to be there.
        settled = all(p.state == "RUNNING" or (p.pid and p.starts == 1) for p in self._require_hope())
        return settled and api_ready(self.settings)[0]

    def _require_hope(self) -> list[Running]:
        try:
            found = self.supervisor.processes()
        except NotRunningError:
            raise StackError(f"The process manager died; see {self.directory.logs}/supervisord.log.") from None
        for process in found:
            if process.starts >= HOPELESS_STARTS:
                log = self.directory.logs / f"{process.name}.log"
                tail = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
                raise StackError("\n  ".join([f"{process.name} does not stay up. The end of {log}:", *tail]))
        return found

    def _shut_down(self) -> bool:
        supervisor = self.supervisor
        try:
            pid = supervisor.pid()
            supervisor.shut_down()
        except NotRunningError:
            return False
        with self.progress.step("stopping the API, the stages and the servers"):
            limit_s = STOP_S + self.settings.llm_timeout_s
            if not until(lambda: not psutil.pid_exists(pid), limit_s):
                raise StackError(f"Not stopped after {limit_s:.0f} s; see {self.directory.logs}/supervisord.log.")
        return True


def _process(running: Running) -> Process:
    state = {"STARTING": "running", "BACKOFF": "restarting", "EXITED": "restarting"}.get(running.state)
    return Process(
        name=running.name,
        state=state or running.state.lower(),
        pid=running.pid,
        uptime_s=running.uptime_s,
        restarts=max(0, running.starts - 1),
        rss_bytes=_memory(running.pid) if running.pid else 0,
    )


def _memory(pid: int) -> int:
    """Of the process and its children, in bytes; pages that they share count for each."""
    try:
        parent = psutil.Process(pid)
        return _sum_rss([parent, *parent.children(recursive=True)])
    except psutil.Error:
        return 0


def _sum_rss(processes: Iterable[psutil.Process]) -> int:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total
