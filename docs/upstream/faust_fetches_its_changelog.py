"""faust-streaming 0.15.3: a worker fetches what it writes to its changelogs, never asks for it, and keeps it.

    python faust_fetches_its_changelog.py 127.0.0.1:9092

A worker counts events in a table. What it has fetched of the changelog and nobody has asked for is shown: up to
`consumer_max_fetch_size` (1 MiB by default) of each partition for as long as it lives, and sent by the broker.

Cause: after a recovery Faust no longer asks for the changelogs' partitions (`Consumer.pause_partitions`), but does not
tell aiokafka, whose fetcher goes on with all that are assigned (`AIOKafkaConsumer.pause`).
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

EVENTS, VALUE, LIMIT_S = 20_000, 200, 60.0


def worker(broker: str, name: str) -> None:
    app = faust.App(
        name,
        broker=f"kafka://{broker}",
        store="memory://",
        datadir=f"{tempfile.gettempdir()}/{name}",
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=1,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        key_serializer="raw",
        value_serializer="raw",
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )
    table = app.Table("last", partitions=1)
    counted = 0

    @app.agent(app.topic(name))  # type: ignore[untyped-decorator]
    async def keep(stream: faust.StreamT[bytes]) -> None:
        nonlocal counted
        async for key, value in stream.items():
            table[key] = value
            counted += 1

    @app.timer(1.0)  # type: ignore[untyped-decorator]
    async def tell() -> None:
        fetched = app.consumer._thread._consumer._fetcher._records
        waiting = {tp.topic: part for tp, part in fetched.items()}.get(f"{name}-last-changelog")
        size = waiting._partition_records._records.size_in_bytes() if waiting else 0
        print(counted, size, flush=True)

    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()


def start(broker: str, name: str, log: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, __file__, broker, name], stdout=log.open("wb"))


async def main(broker: str) -> None:
    name = f"fetches-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1), NewTopic(f"{name}-last-changelog", 1, 1)])
    await admin.close()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        running = start(broker, name, log)
        async with AIOKafkaProducer(bootstrap_servers=broker) as kafka:
            sent = [await kafka.send(name, bytes(VALUE), key=b"%d" % number) for number in range(EVENTS)]
            await asyncio.gather(*sent)
        async with asyncio.timeout(LIMIT_S):
            while log.read_text().count(f"{EVENTS} ") < 3:  # noqa: ASYNC110  two seconds later
                await asyncio.sleep(0.5)
        running.kill()
        counted, size = log.read_text().split()[-2:]
        print(f"{counted} events counted; {int(size):,} bytes of the changelog were fetched, and wait to be asked for")


if __name__ == "__main__":
    worker(*sys.argv[1:]) if len(sys.argv) == 3 else asyncio.run(main(sys.argv[1]))
