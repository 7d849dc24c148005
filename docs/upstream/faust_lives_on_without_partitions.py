"""faust-streaming 0.15.3: a worker whose part in the group has failed lives on without partitions, silent, for ever.

    python faust_lives_on_without_partitions.py 127.0.0.1:9092

A consumer with another assignor is in the group when the worker joins: the broker refuses the worker, with
`InconsistentGroupProtocol`. Then the consumer leaves, and events are sent. The worker could join by now, or end and be
started again. It does neither. A worker that is alone from the beginning counts every event.

Cause: aiokafka keeps such an error until `getmany` has raised it (`GroupCoordinator._push_error_to_user`), and does
nothing in the group until then. Faust never calls it: `AIOKafkaConsumerThread._fetch_records` asks aiokafka's fetcher.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from typing import IO

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

EVENTS = 100
TOGETHER_S, LIMIT_S = 30.0, 60.0


def worker(broker: str, group: str) -> None:
    app = faust.App(
        group,
        broker=f"kafka://{broker}",
        store="memory://",
        datadir=f"{tempfile.gettempdir()}/{group}",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )

    @app.agent(app.topic(group, value_serializer="raw"))  # type: ignore[untyped-decorator]
    async def count(stream: faust.StreamT[bytes]) -> None:
        async for _ in stream:
            print("event", flush=True)

    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()


def start(broker: str, group: str, log: IO[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, __file__, broker, group], stdout=log, stderr=log)


async def run(broker: str, refused: bool) -> str:
    group = f"lives-on-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(group, 1, 1)])
    await admin.close()
    other = AIOKafkaConsumer(group, bootstrap_servers=broker, group_id=group) if refused else nullcontext()
    with tempfile.TemporaryFile("w+") as log:
        async with other:
            process = start(broker, group, log)
            await asyncio.sleep(TOGETHER_S)
        async with AIOKafkaProducer(bootstrap_servers=broker) as kafka:
            for _ in range(EVENTS):
                await kafka.send_and_wait(group, b"x")
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, LIMIT_S)
        ended = process.poll()
        process.kill()
        log.seek(0)
        counted = log.read().count("event\n")
    state = "lives" if ended is None else f"ended with {ended}"
    return f"{counted} of {EVENTS} events counted within {LIMIT_S:g} s, the worker {state}"


async def main(broker: str) -> None:
    print(f"alone in its group: {await run(broker, refused=False)}")
    print(f"refused at first:   {await run(broker, refused=True)}")


if __name__ == "__main__":
    worker(*sys.argv[1:]) if len(sys.argv) == 3 else asyncio.run(main(sys.argv[1]))
