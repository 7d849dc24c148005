"""faust-streaming 0.15.3: offsets are noted as committed though the broker has refused the commit.

    python faust_notes_failed_commits.py     (no broker needed)

Ten events are acknowledged, the broker refuses the commit once, then there is another. Expected: 0 is noted until the
second has 10 stored. Found: 10 is noted at once, and the second asks the broker for nothing: it waits for the next
event to be acknowledged. Whoever reads what is safe from Faust is told too much until the partitions are revoked.

Cause: `Consumer._commit_offsets` writes `_committed_offset`, and tells the monitor, whatever `_commit` has returned;
`_new_offset` has taken the acknowledgements out before. `AIOKafkaConsumerThread._commit` returns False when the group
has moved on, and goes on; after other errors it ends the worker.
"""

import asyncio
from typing import Any

import faust
from aiokafka.errors import CommitFailedError
from faust.types import TP

EVENTS, PARTITION = 10, TP("topic", 0)


class Kafka:
    """For aiokafka's consumer. It refuses in the words of aiokafka's `GroupCoordinator.commit_offsets`."""

    committed, refusals = 0, 1

    def assignment(self) -> set[TP]:
        return {PARTITION}

    async def commit(self, offsets: dict[TP, Any]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise CommitFailedError("Commit cannot be completed since the group has already rebalanced")
        (self.committed,) = (one.offset for one in offsets.values())


async def main() -> None:
    app = faust.App("failed-commits", broker="kafka://127.0.0.1:9", stream_wait_empty=False)
    consumer, kafka = app.consumer, Kafka()
    consumer._thread._consumer = kafka
    consumer._commit = consumer._thread._commit  # its own code, here and not in its thread

    async def flush() -> None:
        """There is nothing to send."""

    app.producer.flush = flush
    consumer._acked[PARTITION] = list(range(EVENTS))  # as `Consumer.ack` does
    for what in ("refused:", "another:"):
        done = await consumer.commit()
        noted, shown = consumer._committed_offset[PARTITION], app.monitor.tp_committed_offsets[PARTITION]
        print(f"{what} {done}; noted {noted}, shown by the monitor {shown}, stored {kafka.committed}")


asyncio.run(main())
