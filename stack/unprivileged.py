"""PostgreSQL refuses to run as root; then it gets a user of its own, which must be able to reach its files."""

import os
import pwd
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from stack.errors import StackError
from stack.execute import complaint, execute

USER = "pgserver"
SEARCH = stat.S_IXOTH
READ = stat.S_IROTH


def user() -> str | None:
    """The user that Postgres runs as, created if need be; None if that is the one who calls."""
    if os.geteuid():
        return None
    try:
        pwd.getpwnam(USER)
    except KeyError:
        _create()
    return USER


def hand_over(directory: Path, owner: str | None) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    if owner:
        shutil.chown(directory, owner, pwd.getpwnam(owner).pw_gid)


def open_way_to(path: Path, say: Callable[[str], None]) -> None:
    """Let other users pass through (not list) the directories above `path`, and say so where that changes anything."""
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & SEARCH:
            parent.chmod(mode | SEARCH)
            say(f"chmod o+x {parent}: the user {USER}, whom PostgreSQL runs as, has to pass through it")


def make_readable(root: Path) -> None:
    """A umask of 077 at installation leaves the server's programs and libraries unreadable to its user."""
    for path in _tree(root):
        mode = path.stat().st_mode
        wanted = mode | READ | (SEARCH if mode & stat.S_IXUSR else 0)
        if mode != wanted:
            path.chmod(wanted)


def _tree(root: Path) -> Iterable[Path]:
    yield root
    for path in root.rglob("*"):
        if not path.is_symlink():
            yield path


def _create() -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")
    why = "PostgreSQL does not run as root"
    if not useradd:
        raise StackError(
            f"{why}, and there is no useradd to create the user {USER}. Create it, or run as another user."
        )
    options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
    done = execute(useradd, *options, USER)
    if done.returncode:
        raise StackError(f"{why}, and creating the user {USER} failed: {complaint(done)}. Run as another user.")
