"""aiokafka 0.14.0: when its fetcher's or its client's task has ended by an error, `getmany` returns nothing for ever.

    python aiokafka_tasks_end_silently.py 127.0.0.1:9092

A consumer is given a partition with 100 records, after an error has been put once into a step of such a task. Expected:
`getmany` raises it, or the task goes on. Found: nothing comes, and only `stop` raises. The fetcher logs its error, the
client logs nothing. The client's task is missed when metadata is needed: for a partition that is new or has moved.

Cause: `AIOKafkaConsumer.getmany` looks at the coordinator's task (`check_errors`) and at no other, not at the fetcher's
(`Fetcher._fetch_requests_routine`; `Fetcher.error_future` is asked for by nobody), nor at the client's
(`AIOKafkaClient._md_synchronizer`), whose waiters are never answered then.
"""

import asyncio
import logging
import sys
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

RECORDS, SECONDS = 100, 10.0


def put_error(owner: Any, name: str) -> None:
    """Into the next call of a method; those after it are right."""

    def fail(*_: object) -> None:
        delattr(owner, name)
        raise ValueError("an unexpected error")

    setattr(owner, name, fail)


async def outcome(broker: str, task: str) -> str:
    topic = f"silently-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=broker) as kafka:
        for _ in range(RECORDS):
            await kafka.send_and_wait(topic, b"x")
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest")
    await consumer.start()
    if task == "fetcher":
        put_error(consumer._fetcher, "_get_actions_per_node")
    elif task == "client":
        put_error(consumer._client, "_metadata_update")
    found, raised, until = 0, "nothing", time.monotonic() + SECONDS
    try:
        consumer.assign([TopicPartition(topic, 0)])
        while time.monotonic() < until:
            found += sum(map(len, (await consumer.getmany(timeout_ms=200)).values()))
    except Exception as error:  # noqa: BLE001
        raised = repr(error)
    said = f"{found} of {RECORDS} records in {SECONDS:g} s, getmany raised {raised}"
    try:
        await consumer.stop()
    except Exception as error:  # noqa: BLE001
        return f"{said}, stop {type(error).__name__}"
    return f"{said}, stop nothing"


async def main(broker: str) -> None:
    print(f"no error:         {await outcome(broker, 'none')}")
    print(f"in the fetcher's: {await outcome(broker, 'fetcher')}")
    print(f"in the client's:  {await outcome(broker, 'client')}")


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.run(main(sys.argv[1]))
