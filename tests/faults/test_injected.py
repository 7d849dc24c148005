"""A fault that harms nobody, or after which something is missing, does not pass for one that was survived."""

import asyncio
import signal
from typing import Any

import pytest

from stack.supervision import Running
from streams.offsets import Group
from tests.faults import injected, models
from tests.faults.injected import inject
from tests.faults.kinds import Kind, NotHit
from tests.faults.models import _feed, _strike_in_flight
from tests.faults.probe import NotRecovered, incomplete
from tests.faults.scene import Scene
from tests.faults.test_scene import a_scene


async def harmless(_: object) -> None: ...


async def wrong(_: object) -> None:
    raise AssertionError("answered events are in the log [2] times")


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> None:
    async def recovered(*_: Any) -> float:
        return 1.5

    async def complete(*_: Any) -> None: ...

    monkeypatch.setattr(injected, "recovered", recovered)
    monkeypatch.setattr(injected, "complete", complete)
    monkeypatch.setattr(Scene, "settings", None)


async def run(inject_: Any) -> tuple[float | None, str]:
    done = await inject(a_scene(), Kind("kills", "a fault", inject_), "1/1")
    assert done.until > 0
    return done.recovery_s, done.problem


@pytest.mark.usefixtures("working")
async def test_a_fault_is_survived() -> None:
    assert await run(harmless) == (1.5, "")


@pytest.mark.usefixtures("working")
async def test_an_assertion_within_a_fault_is_its_problem() -> None:
    assert await run(wrong) == (None, "answered events are in the log [2] times")


@pytest.mark.usefixtures("working")
async def test_whoever_does_not_run_again_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    async def complete(*_: Any) -> None:
        raise NotRecovered("sink-1 is EXITED")

    monkeypatch.setattr(injected, "complete", complete)
    assert await run(harmless) == (None, "sink-1 is EXITED")


def process(name: str, state: str = "RUNNING") -> Running:
    return Running(name, "stages", state, 7, 10, 1)


def test_everything_runs_when_all_processes_are_in_their_groups() -> None:
    processes, groups = [process("sink-0"), process("sink-1")], {"sink": Group("Stable", 2)}
    assert incomplete(processes, groups, 2) == []
    assert incomplete([process("sink-0"), process("sink-1", "BACKOFF")], groups, 2) == ["sink-1 is BACKOFF"]
    assert len(incomplete(processes, {"sink": Group("Stable", 1)}, 2)) == 1
    assert len(incomplete(processes, {"sink": Group("PreparingRebalance", 2)}, 2)) == 1
    assert len(incomplete(processes, {"sink": Group("Stable", 3)}, 2)) == 1


async def answer(_: object) -> Any:
    raise AssertionError


async def test_answers_that_nobody_has_taken_harm_nobody() -> None:
    scene = a_scene()
    with pytest.raises(NotHit):
        await _feed(scene, {"chat": [answer], "embeddings": [answer]}, 0.1)
    assert not scene.provider.harm["chat"]


async def test_answers_of_which_one_was_taken_do_harm() -> None:
    scene = a_scene()
    feeding = asyncio.ensure_future(_feed(scene, {"chat": [answer], "embeddings": [answer]}, 0.2))
    await asyncio.sleep(0)
    scene.provider.harm["embeddings"].popleft()
    await feeding


async def test_who_asks_for_nothing_is_not_struck_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "LIMIT_S", 0.05)
    scene = a_scene()
    with pytest.raises(NotHit):
        await _strike_in_flight(scene, "chat", "synthesize", signal.SIGKILL)
    assert not scene.provider.harm["chat"]
    assert not scene.strikes
