"""Lag, on a log of the test's own."""

import json
import subprocess
from typing import Any

from aiokafka import AIOKafkaProducer

from stack.settings import Settings
from streams.kafka import partition_of, producer, topics_of
from tests.api.conftest import Serve, connected, eventually
from tests.conftest import World
from tests.stack.conftest import elephantasm

VALID = b'{"event_type": "message.in", "content": "x"}'


async def publish(settings: Settings, key: bytes, *values: bytes) -> None:
    kafka: AIOKafkaProducer = producer(settings)
    await kafka.start()
    for value in values:
        partition = partition_of(key, settings.partitions)
        await kafka.send_and_wait(topics_of(settings).events.name, value, key=key, partition=partition)
    await kafka.stop()


def of(report: dict[str, Any], stage: str, topic: str) -> dict[int, tuple[int | None, int, int]]:
    """Committed, end and lag by partition; partitions without records are left out."""
    return {
        one["partition"]: (one["committed"], one["end"], one["lag"])
        for one in report["partitions"]
        if one["stage"] == stage and one["topic"] == topic and one["end"]
    }


async def test_lag_of_stages_that_do_not_run_and_then_do(world: World, serve: Serve) -> None:
    http, topics = await connected(await serve(world.settings)), topics_of(world.settings)
    await publish(world.settings, b"lagging", *[VALID] * 7)
    partition = partition_of(b"lagging", world.settings.partitions)
    report = (await http.get("/lag")).json()
    assert report["stages"] == {"score": 7, "sink": 7, "synthesize": 0, "index": 7, "embed": 7}
    assert report["total"] == 28
    assert of(report, "sink", topics.events.name) == {partition: (None, 7, 7)}
    world.stage("sink")

    async def sunk() -> bool:
        report = (await http.get("/lag")).json()
        return of(report, "sink", topics.events.name) == {partition: (7, 7, 0)}

    await eventually(sunk)
    shown = json.loads(run(world, "lag", "--json").stdout)
    assert [one["lag"] for one in shown if one["stage"] == "index" and one["end"]] == [7]
    assert "partitions behind" in run(world, "lag").stdout


def run(world: World, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return elephantasm(world.settings, *arguments)
