"""aiokafka 0.14.0: after a record that the broker refused, an idempotent producer can send nothing to that partition.

    python aiokafka_keeps_sequence_numbers.py 127.0.0.1:9092

One record too large for the topic is refused, as it should be. Those after it are fine, and are refused as well.

Cause: `MessageAccumulator._pop_batch` gives a batch the partition's next sequence numbers, and `SendProduceReqHandler.
handle_response` does not give them back when the batch fails for good. The broker has not counted it and expects its
numbers again. The Java client raises its epoch and numbers anew.
"""

import asyncio
import sys
import time

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

LIMIT_BYTES, TRIES, PAUSE_S = 1_000, 10, 2.0


async def outcome(kafka: AIOKafkaProducer, topic: str, size: int) -> str:
    try:
        await kafka.send_and_wait(topic, b"x" * size, partition=0)
    except KafkaError as error:
        return type(error).__name__
    return "stored"


async def main(broker: str) -> None:
    topic = f"sequence-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": str(LIMIT_BYTES)})])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True) as kafka:
        print(f"a record:       {await outcome(kafka, topic, 1)}")
        print(f"a large one:    {await outcome(kafka, topic, 2 * LIMIT_BYTES)}")
        found = []
        for _ in range(TRIES):
            found.append(await outcome(kafka, topic, 1))
            await asyncio.sleep(PAUSE_S)
        print(f"{TRIES} more:        {', '.join(sorted(set(found)))} (stored: {found.count('stored')})")
    async with AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True) as kafka:
        print(f"a new producer: {await outcome(kafka, topic, 1)}")


asyncio.run(main(sys.argv[1]))
