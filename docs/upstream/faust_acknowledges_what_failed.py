"""faust-streaming 0.15.3: an exception that leaves an agent acknowledges the event that it could not process.

    python faust_acknowledges_what_failed.py 127.0.0.1:9092

Ten events; the agent raises when it gets number 5. The worker runs for a while, and is then started again. Number 5
should come again, from one supervisor or the other. It is committed as if it had been processed, under each of them.

Cause: the exception leaves the stream's iterator behind, and Python closes it. Its `finally` (`Stream._c_aiter`,
`Stream._py_aiter`) acknowledges the current event, however the iteration has ended.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import faust
import mode
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

EVENTS, FAILING, RUN_S = 10, 5, 12.0
SUPERVISORS = ("OneForOneSupervisor", "CrashingSupervisor", "ForfeitOneForOneSupervisor")  # the first is the default


def worker(broker: str, group: str, supervisor: str) -> None:
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
    topic = app.topic(group, value_serializer="raw")

    @app.agent(topic, supervisor_strategy=getattr(mode, supervisor))  # type: ignore[untyped-decorator]
    async def process(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            print(f"event {int(value)}.", flush=True)
            if int(value) == FAILING:
                raise ValueError(value)

    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()


def start(broker: str, group: str, supervisor: str, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, __file__, broker, group, supervisor]
    return subprocess.Popen(command, stdout=log.open("wb"), stderr=subprocess.DEVNULL)


async def came(broker: str, group: str, supervisor: str) -> str:
    """To a worker, until it ends or is killed."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        running = start(broker, group, supervisor, log)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(running.wait, RUN_S)
        running.kill()
        running.wait()
        return " ".join(re.findall(r"event (\d+)\.", log.read_text())) or "nothing"


async def run(broker: str, supervisor: str) -> str:
    group = f"failed-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(group, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=broker) as kafka:
        for number in range(EVENTS):
            await kafka.send_and_wait(group, b"%d" % number)
    first = await came(broker, group, supervisor)
    async with AIOKafkaConsumer(bootstrap_servers=broker, group_id=group) as kafka:
        committed = await kafka.committed(TopicPartition(group, 0))
    return f"{first} came, {committed} committed; then came {await came(broker, group, supervisor)}"


async def main(broker: str) -> None:
    for supervisor in SUPERVISORS:
        print(f"{supervisor + ':':<27} {await run(broker, supervisor)}")


if __name__ == "__main__":
    worker(*sys.argv[1:]) if len(sys.argv) == 4 else asyncio.run(main(sys.argv[1]))
