"""Faults of clocks: producers that are wrong by hours, ticks that stay away, a worker whose clock jumps."""

import asyncio
import signal
import time

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError

from streams.kafka import connection, topics_of
from streams.records import Configure, Event, Weights
from tests.faults.kinds import fault
from tests.faults.probe import probe_keys
from tests.faults.scene import Scene
from tests.faults.telemetry import HOUR_MS, QUIET
from tests.live.log import Sent, send

SOON = Weights(time_weight=5, event_weight=0.498, token_weight=0, threshold=1)  # two events, and 2.9 s later it is due
SAID = Event(event_type="message.in", content="Only time can tell.").value()
ROUNDS, ROUND_S = 4, 5.0


def _now() -> int:
    return int(time.time() * 1000)


def _keys(scene: Scene) -> list[bytes]:
    """One anima per partition, of which the load knows nothing."""
    return probe_keys(scene.settings.partitions, "clocked")


async def _due_soon(scene: Scene) -> None:
    """In every partition a window that is due by time alone, in 2.9 s."""
    values = (Configure(weights=SOON).value(), SAID, SAID)
    await send(scene.settings, [Sent(key, value) for key in _keys(scene) for value in values])


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
                await kafka.send_and_wait(topic, SAID, key, home, timestamp_ms=_now() + ahead_ms)
            except InvalidTimestampError:
                continue
            raise AssertionError(f"the broker has accepted a record {ahead_ms} ms ahead")


@fault("clocks", "a producer hours behind")
async def behind(scene: Scene) -> None:
    late_ms = int(scene.dice.uniform(1, 12) * HOUR_MS)
    await send(scene.settings, [Sent(key, SAID, None, _now() - late_ms) for key in _keys(scene)])


@fault("clocks", "no ticks for a while")
async def no_ticks(scene: Scene) -> None:
    await _due_soon(scene)
    await scene.freeze(scene.processes("score"), scene.dice.uniform(4, 16))
    await asyncio.sleep(ROUND_S)
    await _never_due(scene)


def _jump(name: str, hours: int) -> None:
    @fault("clocks", f"a worker's clock jumps hours {name}")
    async def jump(scene: Scene) -> None:
        """And back, and again; meanwhile windows come due that only a tick can show."""
        async with scene.replaced("score") as worker:
            pid = scene.stage("score", worker, module=("tests.faults.jumped", str(hours * 3600)))
            try:
                for _ in range(ROUNDS):
                    await _due_soon(scene)
                    await asyncio.sleep(ROUND_S)
            finally:
                await asyncio.to_thread(scene.dismiss, pid, signal.SIGTERM)
        await _never_due(scene)


_jump("ahead", 2)
_jump("back", -2)
