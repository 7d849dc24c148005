"""Lag and its verdicts, on a log of the test's own: stages that never ran, that freeze and go on, that go back."""

import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from stack.embedded import Stack
from stack.settings import Settings
from streams.kafka import connection, partition_of, topics_of
from tests.api.conftest import MakeWorld, Serve, connected, eventually, publish
from tests.conftest import World, free_port
from tests.stack.conftest import elephantasm

VALID = b'{"event_type": "message.in", "content": "x"}'
KEY = b"lagging"
WINDOW_S = 2.0  # much shorter than a session, which lasts for 8


@pytest.fixture
async def watched(make_world: MakeWorld) -> World:
    return await make_world(lag_window_s=WINDOW_S, api_port=free_port())


Sink = Callable[[], Awaitable[dict[str, Any]]]


def sink_of(http: httpx.AsyncClient) -> Sink:
    async def sink() -> dict[str, Any]:
        stage: dict[str, Any] = (await http.get("/lag")).json()["stages"]["sink"]
        return stage

    return sink


async def until(sink: Sink, **expected: Any) -> dict[str, Any]:
    """Until the stage is as expected."""

    async def found() -> dict[str, Any] | None:
        stage = await sink()
        return stage if expected.items() <= stage.items() else None

    stage: dict[str, Any] = await eventually(found)
    return stage


def of(report: dict[str, Any], stage: str, topic: str) -> dict[int, tuple[int | None, int, int]]:
    """Committed, end and lag by partition; partitions without records are left out."""
    return {
        one["partition"]: (one["committed"], one["end"], one["lag"])
        for one in report["partitions"]
        if one["stage"] == stage and one["topic"] == topic and one["end"]
    }


async def test_lag_of_stages_that_do_not_run_and_then_do(watched: World, serve: Serve) -> None:
    settings, http = watched.settings, await connected(await serve(watched.settings))
    await publish(settings, KEY, *[VALID] * 7)
    partition, events = partition_of(KEY, settings.partitions), topics_of(settings).events.name
    report = (await http.get("/lag")).json()
    assert {name: stage["lag"] for name, stage in report["stages"].items()} == {
        "score": 7, "sink": 7, "synthesize": 0, "index": 7, "embed": 7,
    }  # fmt: skip
    assert (report["total"], report["window_s"]) == (28, WINDOW_S)
    assert of(report, "sink", events) == {partition: (None, 7, 7)}
    sink = sink_of(http)
    stopped = await until(sink, verdict="STOP", state="Dead", members=0)
    assert stopped["commit_age_s"] >= WINDOW_S
    assert stopped["seconds"] >= WINDOW_S
    watched.stage("sink")
    done = await until(sink, verdict="OK", state="Stable", members=1, lag=0)
    assert (done["seconds"], done["commit_age_s"]) == (0, 0)
    report = (await http.get("/lag")).json()
    assert of(report, "sink", events) == {partition: (7, 7, 0)}
    assert (report["complete"], report["stages"]["index"]["verdict"]) == (1, "STOP")


async def test_a_stage_that_freezes_and_wakes(watched: World, serve: Serve) -> None:
    http = await connected(await serve(watched.settings))
    sink, worker = sink_of(http), watched.stage("sink")
    await publish(watched.settings, KEY, VALID)
    await until(sink, verdict="OK", lag=0, members=1)
    worker.send_signal(signal.SIGSTOP)
    await publish(watched.settings, KEY, *[VALID] * 5)
    stalled = await until(sink, verdict="STALL")
    assert (stalled["lag"], stalled["members"]) == (5, 1)
    assert stalled["commit_age_s"] >= WINDOW_S
    await publish(watched.settings, KEY, *[VALID] * 3)
    stopped = await until(sink, verdict="STOP")  # the group has given up on it
    assert (stopped["lag"], stopped["members"], stopped["state"]) == (8, 0, "Empty")
    assert stopped["commit_age_s"] > stalled["commit_age_s"]
    worker.send_signal(signal.SIGCONT)
    await until(sink, verdict="OK", lag=0, members=1)
    assert worker.poll() is None


@pytest.fixture
async def group(watched: World) -> AsyncIterator[AIOKafkaConsumer]:
    """The sink's group in the hands of an operator: without members."""
    consumer = AIOKafkaConsumer(
        group_id=topics_of(watched.settings).group("sink"), enable_auto_commit=False, **connection(watched.settings)
    )
    await consumer.start()
    yield consumer
    await consumer.stop()


async def test_a_group_that_is_set_back(watched: World, serve: Serve, group: AIOKafkaConsumer) -> None:
    http = await connected(await serve(watched.settings))
    sink, events = sink_of(http), topics_of(watched.settings).events.name
    tp = TopicPartition(events, partition_of(KEY, watched.settings.partitions))
    await publish(watched.settings, KEY, *[VALID] * 9)
    group.assign([tp])
    await group.commit({tp: 5})
    await until(sink, lag=4, verdict="STOP")
    await group.commit({tp: 2})
    assert (await until(sink, verdict="REWIND"))["lag"] == 7
    await until(sink, lag=7, verdict="STOP")  # once that is longer ago than the window


def shown(settings: Settings) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(elephantasm(settings, "lag", "--json").stdout)
    return report


async def test_the_command_line_without_an_api(watched: World) -> None:
    await publish(watched.settings, KEY, *[VALID] * 7)
    report = shown(watched.settings)
    assert (report["total"], report["complete"]) == (28, 0)
    said = elephantasm(watched.settings, "lag").stdout
    events, partition = topics_of(watched.settings).events.name, partition_of(KEY, watched.settings.partitions)
    assert re.search(rf"index +0 +OK +7 +0.0 s +0.0 s +{events} +{partition}: 7 *\n", said), said
    assert "watched for 0% of 2 s: OK means OK so far" in said


async def test_the_command_line_asks_the_api_which_has_watched(
    stack: Stack, http: httpx.AsyncClient, make_world: MakeWorld
) -> None:
    async def complete() -> bool:
        return bool((await http.get("/lag")).json()["complete"] > 0)

    await eventually(complete)
    report = shown(stack.settings)
    assert report["complete"] > 0
    assert {stage["group"] for stage in report["stages"].values()} == groups(stack.settings)
    another = await make_world(api_port=stack.settings.api_port)
    report = shown(another.settings)  # what that API says is of another log
    assert report["complete"] == 0
    assert {stage["group"] for stage in report["stages"].values()} == groups(another.settings)


def groups(settings: Settings) -> set[str]:
    return {topics_of(settings).group(name) for name in ("score", "synthesize", "sink", "index", "embed")}
