import subprocess
from collections.abc import Mapping
from os import PathLike


def execute(
    *command: str | PathLike[str],
    statement: str = "",
    cwd: str | PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program of ours to its end, with `statement` as its input and as `user` where one is named."""
    return subprocess.run(  # noqa: S603 - no shell, and no argument comes from outside
        command,
        input=statement,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=cwd,
        env=env,
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What it said last, short enough for an error message."""
    return (done.stderr or done.stdout).strip()[-500:] or f"exit code {done.returncode}"
