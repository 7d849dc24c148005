"""On what the numbers were made. No names of hosts or people."""

import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import psutil

from stack import jars, postgres
from stack.execute import execute


def machine(folder: Path) -> dict[str, str]:
    """`folder` is where the servers keep their files."""
    server = execute(postgres.installation() / "bin/postgres", "--version").stdout
    return {
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": str(psutil.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "file system": _file_system(folder),
        "python": platform.python_version(),
        "kafka": jars.VERSION,
        "postgres": server.strip().removeprefix("postgres (PostgreSQL) "),
        "pgvector": postgres.pgvector_version(),
        "aiokafka": version("aiokafka"),
        "faust-streaming": version("faust-streaming"),
    }


def _commit() -> str:
    """Short. Figures that were written are no change of what they are about."""
    if shutil.which("git") is None:
        return "unknown"
    found = execute("git", "rev-parse", "--short", "HEAD", cwd=jars.CHECKOUT).stdout.strip()
    changed = execute("git", "status", "--porcelain", "--", ".", ":!benchmarks/results", cwd=jars.CHECKOUT).stdout
    return f"{found or 'unknown'}{' + changes' if changed else ''}"


def _cpu() -> str:
    described = Path("/proc/cpuinfo")
    for line in described.read_text().splitlines() if described.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"
