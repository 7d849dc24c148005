"""A crash between any two effects: a worker that takes the place of another kills itself at a named point."""

import signal
from uuid import UUID

import httpx
import psycopg

from sinks.database import dsn
from streams.kafka import topics_of
from tests.conftest import free_port
from tests.faults.doomed import POINTS, Point
from tests.faults.kinds import NotHit, fault
from tests.faults.scene import Scene
from tests.live.log import ends, eventually, read

HITS = 3  # a point is passed so many times at most before it strikes
LIMIT_S = 60.0


def _crash(point: Point) -> None:
    @fault("crash points", point.name)
    async def crash(scene: Scene) -> None:
        hit = scene.dice.randint(1, HITS)
        await (_api(scene, point, hit) if point.stage == "api" else _stage(scene, point, hit))


for _point in POINTS:
    _crash(_point)


async def _stage(scene: Scene, point: Point, hit: int) -> None:
    """Under the name of the worker that it replaces: it has that one's partitions at once, and so has its successor."""
    async with scene.replaced(point.stage) as worker:
        pid = scene.stage(point.stage, worker, module=("tests.faults.doomed", point.name, str(hit), "SIGKILL"))
        await _struck(scene, point, pid)


async def _struck(scene: Scene, point: Point, pid: int) -> None:
    try:
        code = await scene.end_of(pid, LIMIT_S)
    except TimeoutError:
        scene.dismiss(pid, signal.SIGKILL)
        raise NotHit(f"{point.name}: not hit within {LIMIT_S:g} s") from None
    scene.struck(point.stage)
    if code != -signal.SIGKILL:
        raise NotHit(f"{point.name}: ended with {code}, see its log")


async def _api(scene: Scene, point: Point, hit: int) -> None:
    """Clients that were answered have their event in the log once; the last has no answer, and at most one event."""
    topic = topics_of(scene.settings).events.name
    before = await ends(scene.settings, topic)
    port, module = free_port(), ("tests.faults.doomed", point.name, str(hit), "SIGKILL")
    pid = scene.stage("api", "doomed", module=module, api_port=port, api_processes=1)
    said = [f"{point.name}, {pid}, {number}" for number in range(hit)]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api", timeout=LIMIT_S) as http:
        await _ready(http)
        anima = await _an_anima(scene)
        answers = [await _posted(http, anima, text) for text in said]
    await _struck(scene, point, pid)
    assert answers == [201] * (hit - 1) + [None], f"{point.name}: answered {answers}"
    stored = [record.value or b"" for record in await read(scene.settings, topic, before)]
    counts = [sum(f'"{text}"'.encode() in value for value in stored) for text in said]
    assert counts[:-1] == [1] * (hit - 1), f"{point.name}: answered events are in the log {counts} times"
    assert counts[-1] <= 1, f"{point.name}: the last event is in the log {counts[-1]} times"


async def _ready(http: httpx.AsyncClient) -> None:
    async def ready() -> bool:
        try:
            return (await http.get("/readyz")).is_success
        except httpx.ConnectError:
            return False

    await eventually(ready, LIMIT_S, "the doomed API is ready")


async def _an_anima(scene: Scene) -> UUID:
    async with await psycopg.AsyncConnection.connect(dsn(scene.settings)) as rows:
        found = await (await rows.execute("SELECT id FROM animas ORDER BY id")).fetchall()
    return UUID(str(scene.dice.choice(found)[0]))


async def _posted(http: httpx.AsyncClient, anima: UUID, content: str) -> int | None:
    """The status of the answer; None where there was none."""
    try:
        event = {"anima_id": str(anima), "event_type": "message.in", "content": content}
        return (await http.post("/events", json=event)).status_code
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return None
