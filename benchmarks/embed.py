"""embed: texts/s of one worker from the log to vectors in Postgres, beside the bare model on the same texts."""

import asyncio
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

import orjson
import psycopg

from agents.embed import STAGE, TEXTS
from agents.embeddings.minilm import NAME
from agents.embeddings.model import Local
from benchmarks.figure import Figure
from benchmarks.rates import Rates, rates
from benchmarks.telemetry import Keyed, fill, key_of, phrases
from benchmarks.world import World, new_database, new_log, servers, watch_progress, worker
from sinks.database import dsn
from stack.settings import Settings
from streams.kafka import topics_of

WORDS = 25
ANIMAS = 200


def run(world: World) -> list[Figure]:
    texts = phrases(world.size(6_000, 1_024), WORDS)
    with servers(world) as settings:
        log = new_log(settings, "embed.")
        asyncio.run(fill(log, [_event(number, text) for number, text in enumerate(texts)]))
        alone, measured = [], []
        for number in range(world.runs):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                alone.append(process.submit(bare, log, texts).result())
            measured.append(_stage(new_database(log, f"embed_{number}"), len(texts)))
            world.say(f"{measured[-1].said('texts')}; the bare model {alone[-1]:,.0f}")
    cpu_ms = median(one.cpu_us for one in measured) / 1000
    return [
        Figure(
            "embed", median(one.steady for one in measured), "texts/s", 250,
            baseline=median(alone), baseline_name="bare model",
            note=f"one worker process beside one sink, {len(texts):,} texts of {WORDS} words, {NAME} on one thread, in "
            f"batches of {TEXTS}; median of {world.runs}; {cpu_ms:.1f} ms of the worker's CPU per text",
        )
    ]  # fmt: skip


def _event(number: int, text: str) -> Keyed:
    return key_of(number % ANIMAS), orjson.dumps({"event_type": "message.in", "content": text})


def bare(settings: Settings, texts: list[str]) -> float:
    """Texts/s of the model alone, in batches as the stage makes them, after one batch to warm up."""
    encode = Local(settings).encode
    encode(texts[:TEXTS])
    started = time.perf_counter()
    for start in range(0, len(texts), TEXTS):
        encode(texts[start : start + TEXTS])
    return len(texts) / (time.perf_counter() - started)


def _stage(settings: Settings, total: int) -> Rates:
    topic = topics_of(settings).events.name
    with worker(settings, "stage", "sink"), worker(settings, "stage", "embed") as stage:
        samples = watch_progress(settings, f"{STAGE} {NAME}", topic, total, stage)
    with psycopg.connect(dsn(settings)) as connection:
        assert connection.execute("SELECT count(*) FROM vectors_384").fetchone() == (total,)
    return rates(samples, stage.started_s)
