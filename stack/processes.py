"""What runs: the stages, the API, and whichever servers are embedded."""

import math
import os
import sys
from dataclasses import dataclass

from stack import kafka, postgres, unprivileged
from stack.directory import DataDirectory
from stack.settings import Settings

STAGES = ("score", "sink", "index", "embed", "synthesize")

# In the environment of every process of a stack: how what a killed stack left behind is recognised.
MARK = "ELEPHANTASM_STACK"

# These ask models. They end when the reply on its way has come, which may take as long as one is waited for.
ASKING = ("embed", "synthesize")
STOP_S = 20

GROUPS = ("postgres", "kafka", "stages", "api")
"""In the order of starting. They stop in reverse, each when the one before has stopped."""


@dataclass(frozen=True)
class Program:
    name: str
    group: str
    command: tuple[str, ...]
    stop_signal: str = "TERM"
    stop_s: int = STOP_S
    user: str | None = None
    listens: str | None = None
    """host:port of a socket that the process manager opens, so that copies share it and a restart refuses nobody."""
    copies: int = 1
    worker: str | None = None
    """How each copy of a stage is named, before its number."""

    @property
    def is_server(self) -> bool:
        """Started at once; the others wait for the topics and tables."""
        return self.group in ("postgres", "kafka")


def programs(settings: Settings, directory: DataDirectory) -> list[Program]:
    here = (sys.executable, "-m", "stack.cli")
    found = []
    if not settings.database:
        found.append(_postgres(directory))
    if not settings.kafka:
        found.append(_kafka(directory))
    found += [_stage(stage, (*here, "stage", stage), settings) for stage in STAGES]
    listens = f"{settings.api_host}:{settings.api_port}"
    found.append(Program("api", "api", (*here, "api", "--fd", "0"), listens=listens, copies=settings.api_processes))
    return found


def _stage(name: str, command: tuple[str, ...], settings: Settings) -> Program:
    stop_s = STOP_S + (math.ceil(settings.llm_timeout_s) if name in ASKING else 0)
    return Program(name, "stages", command, stop_s=stop_s, copies=settings.stage_processes, worker=settings.worker)


def _postgres(directory: DataDirectory) -> Program:
    command = (*_without_secrets(directory), *postgres.command(directory))
    # INT is Postgres' fast shutdown: TERM would wait for the clients to leave.
    return Program("postgres", "postgres", command, stop_signal="INT", stop_s=60, user=unprivileged.user())


def _kafka(directory: DataDirectory) -> Program:
    return Program("kafka", "kafka", (*_without_secrets(directory), *kafka.command(directory)), stop_s=60)


def _without_secrets(directory: DataDirectory) -> tuple[str, ...]:
    path = os.environ.get("PATH", os.defpath)
    return ("/usr/bin/env", "-i", f"PATH={path}", "LC_ALL=C.UTF-8", f"{MARK}={directory.path}")
