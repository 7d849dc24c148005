"""`python -m tests.faults.soak`: load and a fault every so often, for half an hour; memory, handles, recovery, lag."""

import asyncio
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, NamedTuple

import psutil
import typer
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from rich.console import Console

from benchmarks.figure import Figure
from benchmarks.machine import machine
from benchmarks.report import show, write
from stack.settings import Settings
from streams.kafka import connection, partition_of, topics_of
from streams.records import Event
from tests.faults import models, processes, servers  # noqa: F401  they declare kinds
from tests.faults.kinds import KINDS, Kind
from tests.faults.probe import NotRecovered, recovered, settled
from tests.faults.scene import Scene, scene
from tests.faults.schedule import schedule
from tests.faults.telemetry import WORDS

ANIMAS, TEXTS = 200, 2_000
SAMPLE_S = 5.0
WARM_S = 300.0  # memory may grow so long
# A process that is hit often never gets old: what counts is the largest of a program's processes.
GROWTH = 1.10
MB = 1_000_000
progress = Console(stderr=True, highlight=False)
started = time.monotonic()


def say(text: str) -> None:
    progress.print(f"{time.monotonic() - started:6.0f} s  {text}", markup=False, soft_wrap=True)


class Sample(NamedTuple):
    """Of a program at a moment, in seconds since the beginning: of its largest process."""

    at: float
    rss: int
    handles: int


@dataclass
class Watch:
    """What the stack's processes take, sampled."""

    scene: Scene
    samples: defaultdict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))

    async def run(self) -> None:
        while True:
            for program in ("score", "synthesize", "sink", "index", "embed", "api", "kafka", "postgres"):
                self._look(program)
            await asyncio.sleep(SAMPLE_S)

    def _look(self, program: str) -> None:
        found = []
        for running in self.scene.processes(program):
            try:
                process = psutil.Process(running.pid)
                found.append((process.memory_info().rss, process.num_fds()))
            except psutil.Error:
                continue
        if found:
            self.samples[program].append(Sample(time.monotonic() - started, *map(max, zip(*found, strict=True))))

    def growth(self, program: str, what: str, since: float) -> tuple[float, float]:
        """Medians of the first and the last fifth after `since`."""
        values = [getattr(one, what) for one in self.samples[program] if one.at >= since]
        fifth = max(1, len(values) // 5)
        return median(values[:fifth]), median(values[-fifth:])


class Stream:
    """A producer that keeps to its rate; what it cannot send while Kafka is away it sends later."""

    def __init__(self, settings: Settings, seed: int, per_s: float) -> None:
        self.settings, self.per_s, self.sent = settings, per_s, 0
        dice = random.Random(f"soak {seed}")
        self.keys = [b"soak-%03d" % number for number in range(ANIMAS)]
        self.values = [
            Event(event_type="message.in", author="Ines", content=" ".join(dice.choices(WORDS, k=15))).value()
            for _ in range(TEXTS)
        ]
        self.dice = dice

    async def run(self) -> None:
        begun = time.monotonic()
        while True:
            try:
                async with AIOKafkaProducer(
                    linger_ms=20, request_timeout_ms=60_000, **connection(self.settings)
                ) as kafka:
                    while True:
                        await self._catch_up(kafka, begun)
                        await asyncio.sleep(0.02)
            except KafkaError:
                await asyncio.sleep(0.5)

    async def _catch_up(self, kafka: AIOKafkaProducer, begun: float) -> None:
        due = int((time.monotonic() - begun) * self.per_s) - self.sent
        topic, deliveries = topics_of(self.settings).events.name, []
        for _ in range(min(due, 5_000)):
            key, value = self.dice.choice(self.keys), self.dice.choice(self.values)
            home = partition_of(key, self.settings.partitions)
            deliveries.append(await kafka.send(topic, value, key=key, partition=home))
        await asyncio.gather(*deliveries)
        self.sent += len(deliveries)


def main(
    minutes: Annotated[float, typer.Option(min=1)] = 30.0,
    rate: Annotated[float, typer.Option(help="Events a second.")] = 1_000.0,
    every: Annotated[float, typer.Option(help="Seconds between two faults.")] = 20.0,
    seed: Annotated[int, typer.Option()] = 1,
    out: Annotated[Path | None, typer.Option(help="Directory for the figures.")] = None,
) -> None:
    """On a stack of its own, in a temporary directory (TMPDIR says where)."""
    for name in [name for name in os.environ if name.startswith("ELEPHANTASM_")]:
        del os.environ[name]
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="elephantasm-soak-"))
    try:
        figures = asyncio.run(soak(folder, minutes * 60, rate, every, seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(Console(width=None if sys.stdout.isatty() else 140), figures, quick=minutes < 30)
    if out is not None:
        say(str(write(out, "soak", figures, machine(out), quick=minutes < 30)))
    sys.exit(any(figure.met is False for figure in figures))


async def soak(folder: Path, seconds: float, rate: float, every: float, seed: int) -> Sequence[Figure]:
    # Windows of a hundred events: the model's pace is not what is looked at.
    async with scene(folder, random.Random(f"soak faults {seed}"), threshold=50.0, token_weight=0.0) as here:
        watch, stream = Watch(here), Stream(here.settings, seed, rate)
        running = [asyncio.ensure_future(watch.run()), asyncio.ensure_future(stream.run())]
        say(f"ready; {rate:g} events/s for {seconds:g} s, a fault every {every:g} s")
        begun, times, unhealed = time.monotonic(), list[float](), 0
        kinds = schedule(
            [kind for kind in KINDS if kind.of in ("kills", "zombies", "workers", "servers", "models")], 10_000, seed
        )
        for number, kind in enumerate(kinds):
            if time.monotonic() - begun + every > seconds:
                break
            await asyncio.sleep(max(0.0, begun + (number + 1) * every - time.monotonic()))
            healed = await _strike(here, kind)
            times += [healed] if healed is not None else []
            unhealed += healed is None
        for task in running:
            task.cancel()
        drained = time.monotonic()
        await settled(here.settings, 600)
        drained = time.monotonic() - drained
        return figures_of(watch, stream, times, unhealed, drained, begun - started, seconds)


async def _strike(here: Scene, kind: Kind) -> float | None:
    try:
        await kind.inject(here)
        took = await recovered(here.settings)
    except NotRecovered as error:
        say(f"{kind.of}: {kind.name}: NOT RECOVERED: {error}")
        return None
    say(f"{kind.of}: {kind.name}: recovered in {took:.1f} s")
    return took


def figures_of(
    watch: Watch, stream: Stream, times: list[float], unhealed: int, drained: float, begun: float, seconds: float
) -> list[Figure]:
    p95 = quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    found = [
        Figure("events sent", stream.sent, "", note=f"{stream.sent / seconds:,.0f} a second"),
        Figure("faults", len(times) + unhealed, ""),
        Figure("faults not recovered from", unhealed, "", at_most=0),
        Figure("recovery p50", median(times), "s"),
        Figure("recovery p95", p95, "s", at_most=15),
        Figure("lag back to zero after the last event", drained, "s"),
    ]
    since = begun + min(WARM_S, seconds / 2)
    for program in watch.samples:
        before, after = watch.growth(program, "rss", since)
        found.append(Figure(f"{program}, memory at the end", after / MB, "MB", at_most=GROWTH * before / MB,
                            baseline=before / MB, baseline_name="after the warm-up"))  # fmt: skip
        before, after = watch.growth(program, "handles", since)
        found.append(Figure(f"{program}, open handles at the end", after, "", at_most=GROWTH * before + 5,
                            baseline=before, baseline_name="after the warm-up"))  # fmt: skip
    return found


if __name__ == "__main__":
    typer.run(main)
