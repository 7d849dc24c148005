"""aiokafka 0.14.0 asks for metadata again at once, for as long as a partition has no leader that it knows.

    python aiokafka_asks_without_a_pause.py 127.0.0.1:9092

Expected: a pause of `retry_backoff_ms` (100 ms) between two requests. Found: as many as the broker can answer.

Cause: the fetcher's loop (`Fetcher._fetch_requests_routine`) calls `force_metadata_update` and goes round as soon as it
is answered; `AIOKafkaClient._md_synchronizer` asks whenever it is told to. The producer's sender does the same. In a
cluster a broker that is away is enough: another one answers, and every client takes a core, and so does that broker.
"""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.cluster import ClusterMetadata

SECONDS = 5.0


async def main(broker: str) -> None:
    topic = f"without-a-pause-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()

    answers = 0
    update = ClusterMetadata.update_metadata

    def counted(self: ClusterMetadata, metadata: object) -> None:
        nonlocal answers
        answers += 1
        update(self, metadata)

    ClusterMetadata.update_metadata = counted
    for partition in (0, 1):
        async with AIOKafkaConsumer(bootstrap_servers=broker) as consumer:
            consumer.assign([TopicPartition(topic, partition)])
            answers, cpu = 0, time.process_time()
            await asyncio.sleep(SECONDS)
            cpu = time.process_time() - cpu
        what = "with a leader:   " if partition == 0 else "without a leader:"
        print(f"{what} {answers} answers in {SECONDS:g} s, {cpu / SECONDS:.0%} of a core")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
