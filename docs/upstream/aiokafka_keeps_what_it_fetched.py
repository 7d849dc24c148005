"""aiokafka 0.14.0: what was fetched of a partition that is taken away waits for Python's collector of cycles.

    python aiokafka_keeps_what_it_fetched.py      (no broker needed)

A rebalance or a seek drops the fetched parts of partitions, up to `max_partition_fetch_bytes` each. They should go at
once.

Cause: `PartitionRecords` holds a generator that runs in a method of its own. Only reading to its end ends the cycle
("Break reference cycle just in case"). A collector that is tuned for throughput comes late, and counts objects, of
which there are few here, not bytes.
"""

import gc

from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

PARTS, BYTES = 10, 1_000_000


def fetched() -> PartitionRecords:
    batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 2 * BYTES)
    batch.append(0, 0, None, bytes(BYTES), [])
    records = MemoryRecords(bytes(batch.build()))
    return PartitionRecords(TopicPartition("topic", 0), records, None, 0, None, None, True, 0)


def held() -> int:
    return sum(isinstance(one, PartitionRecords) for one in gc.get_objects())


gc.disable()
parts = [fetched() for _ in range(PARTS)]
print(f"fetched:          {held()} parts of a megabyte")
parts.clear()
print(f"dropped:          {held()}")
gc.collect()
print(f"after gc.collect: {held()}")
