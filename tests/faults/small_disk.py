"""A disk for the tables that grow, which can be made full: a tmpfs, where this process may mount one.

It is full because it shrinks to what is on it, and has room again because it grows.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from sinks.database import dsn
from stack import unprivileged
from stack.execute import complaint, execute
from stack.settings import Settings

ROOM_MB = 4096  # taken from memory only as it is used
TABLES = (
    "events", "packs", "dead_letters", "documents", "postings", "windows", "llm_calls", "memories", "memory_events",
)  # fmt: skip
VECTORS = "vectors_1536"  # four kilobytes each


@cache
def allowed() -> bool:
    """Whether this process may mount a file system."""
    if os.geteuid():
        return False
    with tempfile.TemporaryDirectory() as folder:
        if execute("mount", "-t", "tmpfs", "tmpfs", folder).returncode:
            return False
        return not execute("umount", folder).returncode


@dataclass(frozen=True)
class SmallDisk:
    path: Path

    def mount(self) -> None:
        self.path.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={ROOM_MB}m,mode=711", "tmpfs", self.path)

    def fill(self) -> None:
        """No room any more beyond a few kilobytes."""
        for slack_kb in (64, 256, 1024, 4096):  # it must not be smaller than what is on it, which is growing
            found = os.statvfs(self.path)
            used_kb = (found.f_blocks - found.f_bfree) * found.f_frsize // 1024
            if not execute("mount", "-o", f"remount,size={used_kb + slack_kb}k", self.path).returncode:
                return
        raise AssertionError(f"{self.path} could not be made full")

    def clear(self) -> None:
        _run("mount", "-o", f"remount,size={ROOM_MB}m", self.path)

    def unmount(self) -> None:
        if execute("umount", self.path).returncode:
            _run("umount", "--lazy", self.path)


def _run(*command: str | Path) -> None:
    done = execute(*command)
    assert not done.returncode, complaint(done)


async def _hold_tables(settings: Settings, disk: SmallDisk, tables: Iterable[str]) -> None:
    place = disk.path / "tables"
    unprivileged.hand_over(place, unprivileged.user())
    async with await psycopg.AsyncConnection.connect(dsn(settings), autocommit=True) as connection:
        await connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        for table in tables:
            await connection.execute(f"ALTER TABLE {table} SET TABLESPACE small")


@asynccontextmanager
async def small_disk(settings: Settings, tables: Iterable[str]) -> AsyncIterator[SmallDisk | None]:
    """None where mounts are not allowed. The tables are gone with the block: Postgres must have stopped by then."""
    if not allowed():
        yield None
        return
    disk = SmallDisk(settings.data_dir / "small")
    disk.mount()
    try:
        await _hold_tables(settings, disk, tables)
        yield disk
    finally:
        disk.unmount()
