"""score: events/s of one worker, from the log to committed offsets, states on the changelog and triggers sent."""

import asyncio
import json
import subprocess
from functools import partial
from pathlib import Path
from statistics import median
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorNotAvailableError
from aiokafka.structs import TopicPartition

from agents.score import rule_of, trigger
from agents.tokens import count_tokens
from benchmarks.figure import Figure
from benchmarks.rates import Rates, Sample, rates
from benchmarks.telemetry import fill, plain, records_of
from benchmarks.world import Worker, World, derived, new_log, servers, worker
from stack.settings import Settings
from streams.admin import ensure_topics
from streams.decode import decode, read
from streams.kafka import bootstrap, connection, topics_of
from streams.records import SynthesisTrigger
from tables.accumulation import Accumulation
from tables.fold import Timers, fold

QUIX = Path(__file__).parent.parent / ".venv" / "quix-env" / "bin" / "python"
ANIMAS = (200, 20_000)
AT_LEAST = {200: 100_000.0}
POLL_S = 0.005


def run(world: World) -> list[Figure]:
    with servers(world) as settings:
        return [figure for animas in ANIMAS for figure in _with_animas(world, settings, animas)]


def _with_animas(world: World, settings: Settings, animas: int) -> list[Figure]:
    """The baseline comes first: ticks, which our stage writes when it has read everything, have no key and no count."""
    log = new_log(settings, f"score{animas}.")
    total = asyncio.run(fill(log, plain(world.size(1_000_000, 100_000), animas)))
    world.say(f"{total:,} events of {animas:,} animas are on the log")
    baseline = quix(world, log, total)
    measured = []
    for generation in range(1, world.runs + 1):
        one = derived(log, generation=generation)
        measured.append(asyncio.run(_measure(one, total)))
        world.say(measured[-1].said("events"))
    said = asyncio.run(verify(derived(log, generation=world.runs)))
    return [
        Figure(
            f"score, {animas:,} animas", median(one.steady for one in measured), "events/s", AT_LEAST.get(animas),
            baseline=baseline.steady if baseline else None, baseline_name="Quix Streams", times_baseline=1.0,
            note=f"one worker process, {total:,} values of 150 bytes, 8 partitions, median of {world.runs}; {said}; "
            f"{median(one.cpu_us for one in measured):.1f} µs of the worker's CPU per event",
        ),
        Figure(
            f"score, {animas:,} animas, from process start", median(one.wall for one in measured), "events/s",
            baseline=baseline.wall if baseline else None, baseline_name="Quix Streams",
            note="imports, joining the group and recovery included",
        ),
    ]  # fmt: skip


def quix(world: World, settings: Settings, total: int) -> Rates | None:
    """A stateful count of the same topic by Quix Streams; None if `make .venv/quix` was not run."""
    if not QUIX.exists():
        world.say("no .venv/quix-env: `make .venv/quix` installs the baseline")
        return None
    state = settings.data_dir / f"quix-{settings.topic_prefix}state"
    script = Path(__file__).parent / "quix_count.py"
    command = [str(QUIX), "-W", "ignore", str(script), bootstrap(settings), topics_of(settings).events.name]
    done = subprocess.run([*command, str(total), str(state)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Quix Streams: exit code {done.returncode}\n{done.stderr[-2000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    if said["seen"] != total:
        raise RuntimeError(f"Quix Streams counted {said['seen']:,} of {total:,} events")
    found = Rates(said["events"] / said["steady_s"], total / said["wall_s"], said["cpu_s"] * 1e6 / said["events"])
    world.say(f"Quix Streams: {found.said('events')}")
    return found


async def _measure(settings: Settings, total: int) -> Rates:
    await ensure_topics(settings)
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        with worker(settings, "stage", "score") as stage:
            samples = await _watch(admin, settings, total, stage)
            return rates(samples, stage.started_s)
    finally:
        await admin.close()


async def _watch(admin: AIOKafkaAdminClient, settings: Settings, total: int, stage: Worker) -> list[Sample]:
    """The moments at which the group's committed offsets had grown, until they cover `total` records."""
    topics = topics_of(settings)
    samples: list[Sample] = []
    while not samples or samples[-1].done < total:
        stage.check()
        await asyncio.sleep(POLL_S)
        try:
            found = await admin.list_consumer_group_offsets(topics.group("score"))
        except CoordinatorNotAvailableError:  # a fresh broker has no topic for offsets yet
            continue
        done = sum(max(0, at.offset) for tp, at in found.items() if tp.topic == topics.events.name)
        if done > (samples[-1].done if samples else 0):
            samples.append(stage.sample(done))
    return samples


async def verify(settings: Settings) -> str:
    """Raises AssertionError unless the windows on the topic are those of the pure rule over the committed log."""
    topics = topics_of(settings)
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    committed = await admin.list_consumer_group_offsets(topics.group("score"))
    await admin.close()
    expected: set[UUID] = set()
    for tp in sorted(tp for tp in committed if tp.topic == topics.events.name):
        expected |= await _windows(settings, tp, committed[tp].offset)
    triggers = [
        read(SynthesisTrigger, raw).id
        for partition in range(settings.partitions)
        async for raw in records_of(settings, TopicPartition(topics.triggers.name, partition))
    ]
    assert len(triggers) == len(set(triggers)), "a window was asked for twice"
    assert set(triggers) == expected, f"{len(triggers):,} windows, the rule says {len(expected):,}"
    return f"{len(expected):,} windows, as the rule says"


async def _windows(settings: Settings, tp: TopicPartition, end: int) -> set[UUID]:
    records = [raw async for raw in records_of(settings, tp, end)]
    read_one = partial(decode, partitions=settings.partitions)
    folded = fold(records, 0, lambda _: Accumulation(), Timers(), rule_of(settings), read_one, count_tokens)
    return {trigger(anima, tp.partition, fired).id for anima, fired in folded.fired}
