"""A worker that freezes at a named point, and wakes when another has long taken its place: it goes on where it was."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import psutil

from tests.faults.doomed import FREEZES, Point
from tests.faults.kinds import NotHit, fault
from tests.faults.scene import SESSION_S, Scene, hit
from tests.live.log import eventually

LIMIT_S = 60.0
AWAKE_S = 5.0  # for the harm that it still does
# In sessions. Another synthesize waits for its turn first, for twice a call's time-out, which is a session here.
LONG = {"synthesize": (2.5, 4.0)}
ANIMAS = 8  # one per partition or so: what the frozen worker holds is changed again before it wakes


def _freeze(point: Point) -> None:
    @fault("zombies", f"frozen at {point.name}")
    async def freeze(scene: Scene) -> None:
        async with scene.replaced(point.stage) as worker:
            pid = scene.stage(point.stage, worker, module=("tests.faults.doomed", point.name, "1", "SIGSTOP"))
            try:
                async with _changing(scene):
                    await _frozen(point, pid)
                    scene.struck(point.stage)
                    await asyncio.sleep(SESSION_S * scene.dice.uniform(*LONG.get(point.stage, (1.5, 3))))
                hit(pid, signal.SIGCONT)
                with suppress(TimeoutError):
                    await scene.end_of(pid, AWAKE_S)
            finally:
                await asyncio.to_thread(scene.dismiss, pid)


for _point in FREEZES:
    _freeze(_point)


async def _frozen(point: Point, pid: int) -> None:
    async def stopped() -> bool:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED

    try:
        await eventually(stopped, LIMIT_S, f"{point.name} is hit")
    except (AssertionError, psutil.NoSuchProcess) as error:
        raise NotHit(f"{point.name}: {error}") from None


@asynccontextmanager
async def _changing(scene: Scene) -> AsyncIterator[None]:
    """Descriptions are changed again and again: a worker that wakes later must not bring back an old one."""
    base = f"http://127.0.0.1:{scene.settings.api_port}/api"
    async with httpx.AsyncClient(base_url=base, timeout=5) as http:
        changes = asyncio.ensure_future(_change(http))
        try:
            yield
        finally:
            changes.cancel()
            with suppress(asyncio.CancelledError):
                await changes


async def _change(http: httpx.AsyncClient) -> None:
    animas: list[str] = []
    for number in itertools.count():
        with suppress(httpx.HTTPError):
            if not animas:
                listed = (await http.get("/animas", params={"limit": ANIMAS})).raise_for_status()
                animas = [one["id"] for one in listed.json()]
            anima = animas[number % len(animas)]
            await http.patch(f"/animas/{anima}", json={"description": f"change {number}"}, timeout=1)
        await asyncio.sleep(0.1)
