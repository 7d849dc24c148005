"""Faults of clocks: producers that are wrong by hours, ticks that stay away, a worker whose clock jumps.

Any record moves its partition's clock, the load's and the probes' too. So where a tick has to show that time has
passed, the load is silent until it has: the fault waits for its windows before anything else is sent.
"""

import asyncio
import signal
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from uuid import UUID

import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError
from aiokafka.structs import TopicPartition

from sinks.database import dsn
from streams.kafka import connection, topics_of
from streams.offsets import Offsets
from streams.positions import Position, anima_of
from streams.records import Configure, Event, Weights
from tests.faults.kinds import NotHit, fault
from tests.faults.probe import NotRecovered, probe_keys
from tests.faults.scene import Scene
from tests.faults.telemetry import HOUR_MS, QUIET
from tests.live.log import Sent, eventually, send

AT_ONCE = Weights(time_weight=0, event_weight=1, token_weight=0, threshold=1)
SAID = Event(event_type="message.in", content="Only time can tell.")
ROUNDS, ROUND_S = 4, 5.0
SOON_S, LATER_S = 3.0, 8.0
CLAIMED_S = 30.0  # for a window that is due, after its workers have started anew
CLAIMED = (
    "SELECT anima_id, max(last_offset) FROM windows WHERE generation = %s AND anima_id = ANY(%s) GROUP BY anima_id"
)


def _now() -> int:
    return int(time.time() * 1000)


def _keys(scene: Scene) -> list[bytes]:
    """One anima per partition, of which the load knows nothing."""
    return probe_keys(scene.settings.partitions, "clocked")


def waiting(seconds: float) -> tuple[Configure | Event, ...]:
    """Two events that are due so long after the first, and not before, whatever waits already."""
    soon = Weights(time_weight=5, event_weight=(1 - 5 * seconds / 3600) / 2, token_weight=0, threshold=1)
    # What waits becomes a window first: with one event more the next would be due by its events.
    return Configure(weights=AT_ONCE), Configure(weights=soon), SAID, SAID


async def _due_soon(scene: Scene, seconds: float = SOON_S) -> list[Position]:
    """In every partition a window that is due by time alone, in so many seconds; returns where each ends."""
    records = waiting(seconds)
    sent = await send(scene.settings, [Sent(key, record.value()) for key in _keys(scene) for record in records])
    return sent[len(records) - 1 :: len(records)]


async def _claimed(scene: Scene, last: list[Position]) -> None:
    """Until the windows that end there are. Raises NotRecovered."""
    wanted = {anima_of(key): position for key, position in zip(_keys(scene), last, strict=True)}

    async def claimed() -> bool:
        return not unclaimed(wanted, await _reached(scene, list(wanted)))

    try:
        await eventually(claimed, CLAIMED_S, "claimed")
    except AssertionError:
        late = unclaimed(wanted, await _reached(scene, list(wanted)))
        places = ", ".join(str(position) for position in late)
        raise NotRecovered(
            f"not within {CLAIMED_S:g} s: the claims of windows due by time that end at {places}"
        ) from None


def unclaimed(wanted: Mapping[UUID, Position], reached: Mapping[UUID, int]) -> list[Position]:
    """Of the ends of windows by anima, those that the last window claimed does not reach."""
    return [position for anima, position in wanted.items() if reached.get(anima, -1) < position.offset]


async def _reached(scene: Scene, animas: list[UUID]) -> dict[UUID, int]:
    async with await psycopg.AsyncConnection.connect(dsn(scene.settings)) as connection:
        rows = await connection.execute(CLAIMED.encode(), [scene.settings.generation, animas])
        return dict(await rows.fetchall())


async def _never_due(scene: Scene) -> None:
    """Nothing of these animas waits for time any more."""
    await send(scene.settings, [Sent(key, Configure(weights=QUIET).value()) for key in _keys(scene)])


@fault("clocks", "a producer hours ahead")
async def ahead(scene: Scene) -> None:
    """By more than a minute: the broker refuses it, and no clock moves."""
    topic, ahead_ms = topics_of(scene.settings).events.name, int(scene.dice.uniform(1, 12) * HOUR_MS)
    async with AIOKafkaProducer(request_timeout_ms=60_000, **connection(scene.settings)) as kafka:
        for home, key in enumerate(_keys(scene)):
            try:
                await kafka.send_and_wait(topic, SAID.value(), key, home, timestamp_ms=_now() + ahead_ms)
            except InvalidTimestampError:
                continue
            raise AssertionError(f"the broker has accepted a record {ahead_ms} ms ahead")


@fault("clocks", "a producer hours behind")
async def behind(scene: Scene) -> None:
    late_ms = int(scene.dice.uniform(1, 12) * HOUR_MS)
    await send(scene.settings, [Sent(key, SAID.value(), None, _now() - late_ms) for key in _keys(scene)])


@fault("clocks", "no ticks for a while")
async def no_ticks(scene: Scene) -> None:
    async with scene.silent():
        last = await _due_soon(scene)
        await scene.freeze(scene.processes("score"), scene.dice.uniform(4, 16))
        await _claimed(scene, last)
        await _never_due(scene)


@fault("clocks", "both score killed while windows wait for time")
async def killed_waiting(scene: Scene) -> None:
    """When all is absorbed and committed: nothing but the table says that there is something to wait for."""
    async with scene.silent():
        last = await _due_soon(scene, LATER_S)
        await _committed(scene, last, LATER_S)
        for process in scene.processes("score"):
            scene.hit(process, signal.SIGKILL)
        await _claimed(scene, last)
        await _never_due(scene)


async def _committed(scene: Scene, last: list[Position], limit_s: float) -> None:
    """By score. Raises NotHit: who begins before the events gets to know of them by reading them again."""
    goals = {TopicPartition(one.topic, one.partition): one.offset for one in last}
    offsets, group = Offsets(scene.settings), topics_of(scene.settings).group("score")

    async def committed() -> bool:
        found = await offsets.committed(group, goals)
        return all(found.get(tp, 0) > offset for tp, offset in goals.items())

    try:
        await eventually(committed, limit_s, "score has committed the events")
    except AssertionError as error:
        raise NotHit(str(error)) from None
    finally:
        await offsets.stop()


def _jump(name: str, hours: int) -> None:
    @fault("clocks", f"a worker's clock jumps hours {name}")
    async def jump(scene: Scene) -> None:
        """And back, and again; meanwhile windows come due, the last of them when only a tick can show it. The broker
        refuses ticks that are ahead: a worker that ends over that is started again.
        """
        async with AsyncExitStack() as silence:
            async with scene.replaced("score") as worker:
                start = partial(scene.stage, "score", worker, module=("tests.faults.jumped", str(hours * 3600)))
                pid = start()
                try:
                    for _ in range(ROUNDS - 1):
                        await _due_soon(scene)
                        await asyncio.sleep(ROUND_S)
                        pid = scene.kept_up(pid, start)
                    await silence.enter_async_context(scene.silent())
                    last = await _due_soon(scene)
                    await _committed(scene, last, CLAIMED_S)
                    await asyncio.sleep(ROUND_S)
                finally:
                    await asyncio.to_thread(scene.dismiss, pid, signal.SIGTERM)
            await _claimed(scene, last)
            await _never_due(scene)


_jump("ahead", 2)
_jump("back", -2)
