"""`elephantasm produce`: publish events to the log, as any producer may: key = the anima, value = one event in JSON."""

import asyncio
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stack.errors import StackError
from stack.settings import Settings
from streams.decode import Undecodable, decode
from streams.kafka import bootstrap, partition_of, producer, topics_of
from streams.positions import Position
from streams.records import Event

LINES = 5_000  # sent together and awaited together
STANDARD_INPUT = Path("-")


@dataclass
class Line:
    """One line as the stages will see it: `timestamp` in ms, when the event occurred or, failing that, now."""

    number: int
    key: bytes | None
    value: bytes | None
    partition: int
    timestamp: int = 0
    offset: int = 0


def produce(settings: Settings, key: str, file: Path) -> None:
    """Publish every line of `file` in order. Raises StackError with the number of the first line that is no event."""
    if file == STANDARD_INPUT:
        _run(settings, key, sys.stdin.buffer)
        return
    try:
        with file.open("rb") as lines:
            _run(settings, key, lines)
    except OSError as error:
        raise StackError(f"{file} cannot be read: {error.strerror}") from None


def _run(settings: Settings, key: str, lines: Iterable[bytes]) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong is said once, below
    try:
        print(asyncio.run(publish(settings, key.encode(), lines)))
    except KafkaError as error:
        raise StackError(
            f"Kafka at {bootstrap(settings)} cannot be reached or refused ({error}). `elephantasm up` starts one; "
            "ELEPHANTASM_KAFKA names another."
        ) from None


async def publish(settings: Settings, key: bytes, lines: Iterable[bytes]) -> str:
    """Says where the events went. Raises StackError and KafkaError."""
    checked, sent = _checked(settings, key, lines), list[Position]()
    kafka = producer(settings)
    try:
        await kafka.start()
        await _topic_exists(kafka, settings)
        while chunk := _chunk(checked, len(sent)):
            sent += await _send(kafka, topics_of(settings).events.name, chunk)
    finally:
        await kafka.stop()
    if not sent:
        return "nothing to publish: no lines"
    return f"published {len(sent):,} events, {sent[0]} to {sent[-1]}"


async def _topic_exists(kafka: AIOKafkaProducer, settings: Settings) -> None:
    topic = topics_of(settings).events.name
    if topic not in (await kafka.client.fetch_all_metadata()).topics():
        raise StackError(f"Kafka at {bootstrap(settings)} has no topic {topic}. `elephantasm migrate` creates it.")


def _chunk(lines: Iterator[Line], published: int) -> list[Line]:
    try:
        return list(islice(lines, LINES))
    except Undecodable as error:
        done = f"the first {published:,} events are published" if published else "nothing is published"
        raise StackError(f"{error}. Of this input {done}.") from None


def _checked(settings: Settings, key: bytes, lines: Iterable[bytes]) -> Iterator[Line]:
    """Raises Undecodable for the first line that no stage could read."""
    now, home = int(time.time() * 1000), partition_of(key, settings.partitions)
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        line = Line(number, key, text.strip(), home)
        try:
            _, record = decode(line, settings.partitions)
        except Undecodable as error:
            raise Undecodable(f"line {number}: {error}") from None
        if not isinstance(record, Event):
            raise Undecodable(f"line {number}: this command publishes events, not records of kind {record.kind!r}")
        # Back-fill keeps its own time; the broker refuses what lies ahead of its clock.
        line.timestamp = min(now, int(record.occurred_at.timestamp() * 1000)) if record.occurred_at else now
        yield line


async def _send(kafka: AIOKafkaProducer, topic: str, lines: list[Line]) -> list[Position]:
    deliveries = [
        await kafka.send(topic, line.value, key=line.key, partition=line.partition, timestamp_ms=line.timestamp)
        for line in lines
    ]
    return [Position(one.topic, one.partition, one.offset) for one in await asyncio.gather(*deliveries)]
