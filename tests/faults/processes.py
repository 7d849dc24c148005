"""Faults of processes: killed, stopped in mid-work, frozen beyond their session, joined and left by others."""

import asyncio
import signal

from tests.faults.kinds import fault
from tests.faults.scene import GUESTS, SESSION_S, Scene

STAGES = ("score", "sink", "index", "embed", "synthesize")


def _kill(name: str) -> None:
    @fault("kills", f"SIGKILL one {name}")
    async def kill(scene: Scene) -> None:
        scene.hit(scene.one_of(name), signal.SIGKILL)


for _name in (*STAGES, "api"):
    _kill(_name)


@fault("kills", "SIGKILL both workers of a stage")
async def kill_both(scene: Scene) -> None:
    for process in scene.processes(scene.dice.choice(STAGES)):
        scene.hit(process, signal.SIGKILL)


@fault("kills", "SIGKILL several stages at once")
async def kill_several(scene: Scene) -> None:
    for process in scene.processes(*scene.dice.sample(STAGES, 3)):
        scene.hit(process, signal.SIGKILL)


@fault("kills", "SIGTERM in mid-work")
async def terminate(scene: Scene) -> None:
    scene.hit(scene.one_of(*STAGES, "api"), signal.SIGTERM)


def _freeze(name: str) -> None:
    @fault("zombies", f"SIGSTOP one {name}, SIGCONT after its session")
    async def freeze(scene: Scene) -> None:
        await scene.freeze([scene.one_of(name)], SESSION_S * scene.dice.uniform(1.5, 3))


for _name in ("score", "synthesize", "sink"):
    _freeze(_name)


def _move(name: str) -> None:
    @fault("workers", f"a third {name} joins and leaves")
    async def join_and_leave(scene: Scene) -> None:
        await _visit(scene, name, signal.SIGTERM)

    @fault("workers", f"a third {name} joins and is killed")
    async def join_and_die(scene: Scene) -> None:
        await _visit(scene, name, signal.SIGKILL)

    @fault("workers", f"rolling restart of {name}")
    async def rolling_restart(scene: Scene) -> None:
        for process in scene.processes(name):
            scene.hit(process, signal.SIGTERM)
            await asyncio.sleep(3)


async def _visit(scene: Scene, name: str, end: signal.Signals) -> None:
    pid = scene.stage(name, "guest")
    try:
        await scene.joined(name, scene.settings.stage_processes + GUESTS)
        await asyncio.sleep(scene.dice.uniform(0, 4))
        scene.require_running(pid)
    finally:
        await asyncio.to_thread(scene.dismiss, pid, end)


for _name in STAGES:
    _move(_name)
