"""A line for what takes long, in the Makefile too."""

import subprocess
import sys


def test_a_silent_command_gets_a_line_too_before_anything_is_installed() -> None:
    command = [sys.executable, "-S", "-m", "stack.progress", "installing", "-c", "exit(int(input()))"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr
        assert running.stderr.readline() == "installing … 2 s\n"
        running.communicate("3\n")
    assert running.returncode == 3
