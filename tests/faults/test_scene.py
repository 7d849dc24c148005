"""A stack is stopped by whoever has started it, whenever he is told to end; what was struck is noted; silence."""

import asyncio
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from stack.settings import Settings
from stack.supervision import Running
from tests.faults import scene as module
from tests.faults.provider import Provider
from tests.faults.scene import Scene, settings_for, started


class Slow:
    """A stack that starts when it may."""

    def __init__(self) -> None:
        self.begun, self.may = threading.Event(), threading.Event()
        self.done: list[str] = []

    def start(self) -> None:
        self.begun.set()
        assert self.may.wait(20)
        self.done.append("started")

    def stop(self) -> None:
        self.done.append("stopped")


async def test_a_stack_that_was_starting_is_stopped() -> None:
    stack: Any = Slow()

    async def run() -> None:
        async with started(stack):
            raise AssertionError("nobody waits for it any more")

    running = asyncio.ensure_future(run())
    await asyncio.to_thread(stack.begun.wait, 20)
    running.cancel()
    await asyncio.wait([running], timeout=0.3)
    assert stack.done == []  # while it starts, it cannot be stopped
    stack.may.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stack.done == ["started", "stopped"]


def a_scene(**others: Any) -> Scene:
    anything: Any = None
    return Scene(anything, Provider(), random.Random(1), anything, None, **others)


def gone(name: str) -> Running:
    return Running(name, "stages", "EXITED", None, 0, 1)


@pytest.mark.parametrize(
    ("name", "how", "noted"),
    [
        ("synthesize-1", signal.SIGKILL, ["synthesize"]),
        ("synthesize-1", signal.SIGSTOP, ["synthesize"]),
        ("synthesize-1", signal.SIGTERM, []),
        ("kafka", signal.SIGTERM, ["kafka"]),
        ("postgres", signal.SIGINT, ["postgres"]),
    ],
)
def test_a_worker_that_is_told_to_end_is_not_struck(name: str, how: signal.Signals, noted: list[str]) -> None:
    scene = a_scene()
    scene.hit(gone(name), how)
    assert [strike.program for strike in scene.strikes] == noted


async def test_there_is_silence_once_the_log_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    class Alone(Scene):
        @property
        def settings(self) -> Any:
            return Settings(_env_file=None)

    lengths, looks = iter((1, 2, 2, 3, 3, 3)), []

    async def ends(*_: Any) -> int:
        looks.append(next(lengths))
        return looks[-1]

    monkeypatch.setattr(module, "ends", ends)
    monkeypatch.setattr(module, "REST_S", 0.0)
    anything: Any = None
    scene = Alone(anything, Provider(), random.Random(1), anything, None)
    async with scene.silent():
        assert not scene.gate.is_set()
    assert looks == [1, 2, 2, 3, 3, 3]
    assert scene.gate.is_set()


def test_what_is_chosen_overrides_what_is_usual(tmp_path: Path) -> None:
    usual = settings_for(tmp_path, Provider(url="http://127.0.0.1:1/v1"), 2)
    assert settings_for(tmp_path, Provider(url="http://127.0.0.1:1/v1"), 2, llm_timeout_s=60.0).llm_timeout_s == 60.0
    assert usual.llm_timeout_s == 4.0
