"""The process manager: supervisord, configured for one stack and reached through a Unix socket."""

import http.client
import os
import shlex
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy, Transport

from stack.backoff import LONGEST_PAUSE_S
from stack.directory import DataDirectory
from stack.errors import StackError
from stack.execute import complaint, execute
from stack.jars import CHECKOUT
from stack.processes import GROUPS, Program

ANSWER_S = 10.0

HEAD = """\
[supervisord]
logfile={logs}/supervisord.log
logfile_maxbytes=10MB
logfile_backups=3
pidfile={run}/supervisord.pid
umask=077
user={user}

[unix_http_server]
file={run}/supervisord.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:backoff]
supervisor.rpcinterface_factory=stack.backoff:interface
"""

PROGRAM = """
[{kind}:{name}]
command={command}
process_name={process_name}
numprocs={copies}
directory={checkout}
priority={priority}
autostart={autostart}
autorestart=true
startsecs=5
startretries={retries}
stopsignal={stop_signal}
stopwaitsecs={stop_s}
killasgroup=true
redirect_stderr=true
stdout_logfile={logs}/{process_name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


@dataclass(frozen=True)
class Running:
    """One process as supervisord sees it."""

    name: str
    group: str
    state: str
    pid: int | None
    uptime_s: int
    starts: int


def configure(directory: DataDirectory, programs: Iterable[Program]) -> None:
    head = HEAD.format(logs=_escaped(directory.logs), run=_escaped(directory.run), user=os.geteuid())
    sections = [head]
    sections += [_program(program, directory) for program in programs]
    stages = ",".join(p.name for p in programs if p.group == "stages")
    sections.append(f"\n[group:stages]\nprograms={stages}\npriority={GROUPS.index('stages') + 1}\n")
    configuration(directory).write_text("".join(sections))


def configuration(directory: DataDirectory) -> Path:
    return directory.path / "supervisord.conf"


def launch(directory: DataDirectory, environment: Mapping[str, str]) -> None:
    """Start supervisord, which starts the servers. Raises StackError if it does not come up."""
    supervisord = (sys.executable, "-m", "supervisor.supervisord", "-c", configuration(directory))
    done = execute(*supervisord, cwd=CHECKOUT, env={**os.environ, **environment})
    if done.returncode:
        raise StackError(f"The process manager did not start: {complaint(done)}")


class Supervisor:
    """A stack's supervisord. Methods raise NotRunningError when nobody answers."""

    def __init__(self, directory: DataDirectory) -> None:
        self.directory = directory
        self.socket = directory.run / "supervisord.sock"
        self.pid_file = directory.run / "supervisord.pid"

    def answers(self) -> bool:
        try:
            self._call("supervisor.getState")
        except NotRunningError:
            return False
        return True

    def pid(self) -> int:
        return cast(int, self._call("supervisor.getPID"))

    def processes(self) -> list[Running]:
        starts = cast(dict[str, int], self._call("backoff.starts"))
        rows = cast(list[dict[str, Any]], self._call("supervisor.getAllProcessInfo"))
        return [_running(row, starts) for row in rows]

    def start(self, group: str) -> None:
        """Start a group's processes without waiting for them."""
        self._call("supervisor.startProcessGroup", group, False)

    def start_process(self, process: Running) -> None:
        """Start one process without waiting for it."""
        self._call("supervisor.startProcess", f"{process.group}:{process.name}", False)

    def stop_process(self, process: Running) -> None:
        """Tell one process to stop, without waiting for it; it stays away until it is started."""
        self._call("supervisor.stopProcess", f"{process.group}:{process.name}", False)

    def shut_down(self) -> None:
        self._call("supervisor.shutdown")

    def _call(self, method: str, *arguments: object) -> object:
        proxy = ServerProxy("http://stack", transport=_UnixTransport(self.socket))
        try:
            return cast(object, getattr(proxy, method)(*arguments))
        except (ConnectionError, FileNotFoundError, http.client.HTTPException):
            raise NotRunningError from None
        except TimeoutError:
            raise StackError(
                f"The process manager of {self.directory.path} does not answer. "
                f"End the process in {self.pid_file} and run `elephantasm up` again."
            ) from None
        except Fault as fault:
            if "SHUTDOWN_STATE" in fault.faultString:
                raise NotRunningError from None
            raise


class NotRunningError(Exception):
    """No process manager answers for this data directory."""


class _UnixTransport(Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        return _UnixConnection(self.path)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def _running(row: dict[str, Any], starts: Mapping[str, int]) -> Running:
    alive = row["pid"] != 0
    return Running(
        name=row["name"],
        group=row["group"],
        state=row["statename"],
        pid=row["pid"] or None,
        uptime_s=row["now"] - row["start"] if alive else 0,
        starts=starts.get(row["name"], 0),
    )


def _program(program: Program, directory: DataDirectory) -> str:
    text = PROGRAM.format(
        kind="fcgi-program" if program.listens else "program",
        name=program.name,
        command=_escaped(shlex.join(program.command)),
        process_name=program.name + ("-%(process_num)d" if program.copies > 1 else ""),
        copies=program.copies,
        checkout=_escaped(CHECKOUT),
        priority=GROUPS.index(program.group) + 1,
        autostart=str(program.is_server).lower(),
        retries=LONGEST_PAUSE_S,
        stop_signal=program.stop_signal,
        stop_s=program.stop_s,
        # supervisord expands this one twice.
        logs=_escaped(_escaped(directory.logs)),
    )
    if program.worker and program.copies > 1:
        text += f"environment=ELEPHANTASM_WORKER={program.worker}-%(process_num)d\n"
    if program.user:
        text += f"user={program.user}\n"
    if program.listens:
        text += f"socket=tcp://{program.listens}\nsocket_backlog=1024\n"
    return text


def _escaped(value: object) -> str:
    text = str(value)
    if " #" in text or " ;" in text or "\n" in text:
        raise StackError(f"{text!r} has a blank before # or ;, which the process manager reads as a comment. Move it.")
    return text.replace("%", "%%")
