"""A record that the broker refuses does not close its partition to whoever sent it, though aiokafka has counted it."""

import os
import subprocess
import sys
import time

import pytest
from aiokafka.errors import InvalidTimestampError

from api.errors import Unavailable
from api.log import Log
from stack.environment import variables
from streams.kafka import topics_of
from streams.records import Configure, Event
from tests.conftest import World
from tests.faults.jumped import PERIOD_S
from tests.live.faults import Workers
from tests.live.log import Sent, eventually, send
from tests.live.test_score import SOON, said, triggers

AHEAD_S = 7_200


async def test_the_api_goes_on_after_its_clock_was_ahead(world: World) -> None:
    log = Log(world.settings)
    await log.start()
    await eventually(log.reachable, 30, "Kafka answers")
    event = Event(event_type="message.in", content="x")

    async def stored() -> bool:
        try:
            return bool(await log.append(b"wren", 1, [event]))
        except Unavailable:
            return False

    assert await stored()
    assert log.producer is not None
    ahead = int((time.time() + AHEAD_S) * 1000)
    with pytest.raises(InvalidTimestampError):
        await log.producer.send_and_wait(topics_of(world.settings).events.name, b"x", partition=1, timestamp_ms=ahead)
    await eventually(stored, 30, "the API stores events again")
    await log.stop()


async def test_a_worker_goes_on_after_its_clock_was_ahead(world: World) -> None:
    def start(name: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.faults.jumped", str(AHEAD_S), "score"]
        with (world.folder / f"score-{name}.log").open("ab") as output:
            process = subprocess.Popen(
                command, env=os.environ | variables(world.settings), stdout=output, stderr=output
            )
        world.workers.append(process)
        return process

    async def ahead_when_due() -> bool:
        return (time.time() + 4) % (2 * PERIOD_S) > PERIOD_S + 1

    worker = Workers(start, names="a")
    for number in range(1, 5):
        await worker.watched(ahead_when_due, 2 * PERIOD_S, "the clock is ahead when the window is due")
        await send(world.settings, [Sent(b"wren", Configure(weights=SOON).value()), *[Sent(b"wren", said())] * 2])

        async def fired(number: int = number) -> bool:
            return len(await triggers(world.settings)) == number

        await worker.watched(fired, 120, "the window fires by time alone")
