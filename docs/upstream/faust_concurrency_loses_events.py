"""faust-streaming 0.15.3: an agent with `concurrency` commits past events that are in flight; a crash loses them.

    python faust_concurrency_loses_events.py 127.0.0.1:9092

Of 100 events every tenth has to wait for something that takes long. Meanwhile the worker is killed and started again,
and nothing takes long any more. All 100 should be processed, as they are without concurrency. With it those that had
waited never come again.

Cause: `Consumer._new_offset` commits to the end of the first run of acknowledged offsets. What is missing before that
run counts as done if nothing has been committed yet, and also if only one event is missing, the one at the committed
offset itself (`min(acked) - committed_offset > 1`). Others have seen it: faust-streaming/faust#606.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

EVENTS, LONG_EACH = 100, 10
LONG_S, KILLED_AFTER_S, AGAIN_S = 3_600.0, 15.0, 20.0


def worker(broker: str, group: str, concurrency: str, long_s: str) -> None:
    app = faust.App(
        group,
        broker=f"kafka://{broker}",
        store="memory://",
        datadir=f"{tempfile.gettempdir()}/{group}",
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_commit_interval=0.5,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )

    @app.agent(app.topic(group, value_serializer="raw"), concurrency=int(concurrency))  # type: ignore[untyped-decorator]
    async def process(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            await asyncio.sleep(float(long_s) if int(value) % LONG_EACH == 0 else 0.01)
            print(f"event {int(value)}.", flush=True)

    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()


def start(broker: str, group: str, concurrency: int, long_s: float, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, __file__, broker, group, str(concurrency), str(long_s)]
    return subprocess.Popen(command, stdout=log.open("ab"))


async def run(broker: str, concurrency: int) -> str:
    group = f"concurrency-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(group, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=broker) as kafka:
        for number in range(EVENTS):
            await kafka.send_and_wait(group, b"%d" % number)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        processed = []
        for long_s, seconds in ((LONG_S, KILLED_AFTER_S), (0.0, AGAIN_S)):
            running = start(broker, group, concurrency, long_s, log)
            await asyncio.sleep(seconds)
            running.kill()
            running.wait()
            processed.append(len(set(re.findall(r"event \d+\.", log.read_text()))))
    return f"{processed[0]} of {EVENTS} events processed when killed, {processed[1]} in all"


async def main(broker: str) -> None:
    print(f"concurrency 1:  {await run(broker, 1)}")
    print(f"concurrency 20: {await run(broker, 20)}")


if __name__ == "__main__":
    worker(*sys.argv[1:]) if len(sys.argv) == 5 else asyncio.run(main(sys.argv[1]))
