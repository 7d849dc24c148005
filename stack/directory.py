"""The data directory: everything that outlives a stop, and nothing of it anywhere else."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stack.errors import StackError

FREE_BYTES = 1 << 30
# sun_path holds 108 bytes with the closing zero; the longest name put below run/ is the one of Postgres.
SOCKET_BYTES = 107
LONGEST_SOCKET = "postgres/.s.PGSQL.5432"


class DataDirectory:
    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.logs = self.path / "logs"
        self.kafka = self.path / "kafka"
        self.postgres = self.path / "postgres"
        self.version = self.path / "version.json"

    @property
    def run(self) -> Path:
        """Where the sockets are: run/, or the short directory that run/ points to."""
        return (self.path / "run").resolve()

    @property
    def counts(self) -> Path:
        """What the API's processes have counted since the stack was started; they make it (stack/serve.py)."""
        return self.run / "counts"

    def forget_counts(self) -> None:
        shutil.rmtree(self.counts, ignore_errors=True)

    def exists(self) -> bool:
        return self.version.exists()

    def prepare(self, versions: Mapping[str, str]) -> None:
        """Make it usable by `versions` of the servers. Raises StackError if that cannot be."""
        self._create()
        free = shutil.disk_usage(self.path).free
        if free < FREE_BYTES:
            raise StackError(
                f"{self.path} has {free >> 20} MiB of free disk space and needs {FREE_BYTES >> 20}. "
                "Free some, or set ELEPHANTASM_DATA_DIR to a directory on another disk."
            )
        self._check_version(versions)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """One `up` or `down` at a time. Raises StackError if another one is at work."""
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError(
                    f"Another `elephantasm up` or `down` is at work in {self.path}. Wait until it is done."
                ) from None
            yield

    def _create(self) -> None:
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            (self.path / "lock").touch()
            # Only the server of Postgres, which may run as another user, has to pass through.
            self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self._place_sockets()
        except OSError as error:
            raise StackError(
                f"Cannot write to {self.path}: {error.strerror or error}. "
                "Set ELEPHANTASM_DATA_DIR to a directory that this user may write."
            ) from None

    def _place_sockets(self) -> None:
        run = self.path / "run"
        if len(os.fsencode(run / LONGEST_SOCKET)) <= SOCKET_BYTES:
            run.mkdir(exist_ok=True)
        elif not run.is_dir():  # not made yet, or its target is gone with the last boot
            run.unlink(missing_ok=True)
            run.symlink_to(tempfile.mkdtemp(prefix="elephantasm-"))
        run.chmod(0o711 if os.geteuid() == 0 else 0o700)

    def _check_version(self, versions: Mapping[str, str]) -> None:
        written = json.loads(self.version.read_text()) if self.version.exists() else {}
        for name, current in versions.items():
            if name in written and written[name] != current:
                raise StackError(
                    f"{self.path} was written by {name} {written[name]}, and this release runs {current}. "
                    "Use the release that wrote it, or set ELEPHANTASM_DATA_DIR to a new directory."
                )
        _write_whole(self.version, json.dumps(written | dict(versions), indent=2) + "\n")


def _write_whole(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)
