"""faust-streaming 0.15.3: a worker without partitions leaves its group for ever, and takes over from nobody.

    python faust_spare_worker_leaves.py 127.0.0.1:9092

Two workers share a topic of one partition, for three times `broker_max_poll_interval` (1,000 s by default, 5 s here).
Then the one that counts is killed. The other should count what comes next. With a longer interval it does.

Cause: Faust polls only if it has a partition to poll (`Consumer._wait_next_records`). aiokafka takes that for a worker
that hangs, and leaves the group (`GroupCoordinator._heartbeat_routine`). It would join again with the next poll
(`ensure_active_group`), for which Faust needs a partition first.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

EVENTS = 100
INTERVAL_S, LIMIT_S = 5.0, 60.0


def worker(broker: str, group: str, name: str, interval_s: str) -> None:
    app = faust.App(
        group,
        broker=f"kafka://{broker}",
        store="memory://",
        datadir=f"{tempfile.gettempdir()}/{group}-{name}",
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_max_poll_interval=float(interval_s),
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )

    @app.agent(app.topic(group, value_serializer="raw"))  # type: ignore[untyped-decorator]
    async def count(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            print("event", value.decode(), flush=True)

    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()


async def run(broker: str, interval_s: float) -> str:
    group = f"spare-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(group, 1, 1)])
    await admin.close()
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / name for name in "ab"]
        workers = [start(broker, group, log, interval_s) for log in logs]

        def counted(log: Path) -> int:
            return log.read_text().count(f"event {batch}\n")

        async def send() -> None:
            async with AIOKafkaProducer(bootstrap_servers=broker) as kafka:
                for _ in range(EVENTS):
                    await kafka.send_and_wait(group, b"%d" % batch)
            with suppress(TimeoutError):
                async with asyncio.timeout(LIMIT_S):
                    while sum(map(counted, logs)) < EVENTS:  # noqa: ASYNC110
                        await asyncio.sleep(0.1)

        batch = 1
        await send()
        await asyncio.sleep(3 * INTERVAL_S)
        batch = 2
        await send()
        active, spare = sorted(range(2), key=lambda number: -counted(logs[number]))
        said = f"{counted(logs[active])} of {EVENTS} events counted by one"
        workers[active].kill()
        batch = 3
        await send()
        workers[spare].kill()
        return f"{said}, then {counted(logs[spare])} of {EVENTS} by the other"


def start(broker: str, group: str, log: Path, interval_s: float) -> "subprocess.Popen[bytes]":
    command = [sys.executable, __file__, broker, group, log.name, str(interval_s)]
    return subprocess.Popen(command, stdout=log.open("wb"))


async def main(broker: str) -> None:
    print(f"an interval of an hour:    {await run(broker, 3_600)}")
    print(f"an interval of 5 seconds:  {await run(broker, INTERVAL_S)}")


if __name__ == "__main__":
    worker(*sys.argv[1:]) if len(sys.argv) == 5 else asyncio.run(main(sys.argv[1]))
