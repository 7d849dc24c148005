"""What processes log, as an operator finds it in their files."""

import subprocess
import sys

PROGRAM = """
import structlog
from stack.logging import configure
configure({level!r})
log = structlog.get_logger()
log.debug("fine detail")
try:
    event = "what a user said"
    raise ValueError("no room")
except ValueError:
    log.exception("not written", partition=3)
"""


def logged(level: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level)], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_traceback_tells_where_and_not_what_users_said() -> None:
    lines = logged("info").splitlines()
    assert "not written" in lines[0]
    assert "partition=3" in lines[0]
    assert lines[1:] == [
        "Traceback (most recent call last):",
        '  File "<string>", line 9, in <module>',
        "ValueError: no room",
    ]


def test_the_level_is_kept_to() -> None:
    assert "fine detail" in logged("debug")
    assert "fine detail" not in logged("info")
    assert "not written" in logged("error")
