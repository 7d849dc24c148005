"""Whether everything works again: a record on every partition, followed until every stage has dealt with it."""

import asyncio
import itertools
import time
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stack.embedded import Stack
from stack.readiness import api_ready
from stack.settings import Settings
from stack.supervision import Running
from streams.kafka import connection, partition_of, topics_of
from streams.lag import Lags
from streams.offsets import Group
from streams.positions import Position
from streams.records import Event
from streams.settling import NotSettled, Settling
from tests.live.log import ends

LIMIT_S = 180.0
COMPLETE_S = 60.0
PAUSE_S = 0.3  # more often, and asking would keep a core busy while Kafka is away


class NotRecovered(Exception):
    """Something does not work again within the limit; the message says what."""


def probe_keys(partitions: int, name: str = "probe") -> list[bytes]:
    """A key for each partition; each begins with the name."""
    found: dict[int, bytes] = {}
    for number in itertools.count():
        key = f"{name}-{number}".encode()
        found.setdefault(partition_of(key, partitions), key)
        if len(found) == partitions:
            return [found[partition] for partition in range(partitions)]
    raise AssertionError


async def recovered(settings: Settings, limit_s: float = LIMIT_S) -> float:
    """Seconds until the API is ready and every stage has dealt with what was sent now. Raises NotRecovered."""
    started, last = time.monotonic(), ""
    while (left := limit_s - (time.monotonic() - started)) > 0:
        try:
            ready, last = await asyncio.to_thread(api_ready, settings)
            if ready:
                await _passed(settings, await _sent(settings), left)
                return time.monotonic() - started
        except (KafkaError, NotSettled, OSError) as error:
            last = repr(error)
        await asyncio.sleep(PAUSE_S)
    raise NotRecovered(f"not within {limit_s:g} s: {last}")


async def complete(stack: Stack, limit_s: float = COMPLETE_S) -> None:
    """Until every process runs and is in its group: everything may work long before, by the half that was spared.
    Raises NotRecovered.
    """
    reader, missing, begun = Lags(stack.settings), ["an answer of Kafka"], time.monotonic()
    try:
        while time.monotonic() - begun < limit_s:
            try:
                groups = (await reader.read()).groups
                running = await asyncio.to_thread(stack.supervisor.processes)
                missing = incomplete(running, groups, stack.settings.stage_processes)
            except KafkaError as error:
                missing = [repr(error)]
            if not missing:
                return
            await asyncio.sleep(PAUSE_S)
    finally:
        await reader.stop()
    raise NotRecovered(f"it works, but {limit_s:g} s later not everything runs: {', '.join(missing)}")


def incomplete(running: Iterable[Running], groups: Mapping[str, Group], members: int) -> list[str]:
    """Processes that do not run, and stages whose group has not so many members at work."""
    stopped = [f"{one.name} is {one.state}" for one in running if one.state != "RUNNING"]
    moving = [f"the group of {stage} is {group.state} with {group.members} members"
              for stage, group in groups.items() if group != Group("Stable", members)]  # fmt: skip
    return stopped + moving


async def _sent(settings: Settings) -> list[Position]:
    topic, value = topics_of(settings).events.name, Event(event_type="probe", content="Is all well?").value()
    kafka = AIOKafkaProducer(**connection(settings))
    try:
        async with asyncio.timeout(20):
            await kafka.start()
            keys = enumerate(probe_keys(settings.partitions))
            sent = [await kafka.send(topic, key=key, value=value, partition=number) for number, key in keys]
            return [Position(one.topic, one.partition, one.offset) for one in await asyncio.gather(*sent)]
    finally:
        await kafka.stop()


async def settled(settings: Settings, limit_s: float = LIMIT_S) -> None:
    """Until every stage has dealt with everything that is on the log now; writes nothing. Raises NotSettled."""
    last = [
        Position(tp.topic, tp.partition, end - 1)
        for tp, end in (await ends(settings, topics_of(settings).events.name)).items()
    ]
    await _passed(settings, [position for position in last if position.offset >= 0], limit_s)


async def _passed(settings: Settings, positions: list[Position], limit_s: float) -> None:
    settling = Settling(settings)
    try:
        await asyncio.gather(*[settling.wait(position, limit_s) for position in positions])
    finally:
        await settling.stop()
