"""aiokafka 0.14.0 joins its group again and again if offsets are committed while it waits to join.

    python aiokafka_commits_while_joining.py 127.0.0.1:9092

Expected: the group moves once when a member joins. Found: it moves for as long as the program commits.

Cause: the commit goes over the same connection as the request to join, so the broker looks at it when that is
answered and the group has a new generation. `GroupCoordinator._do_commit_offsets` takes the refusal
(ILLEGAL_GENERATION) as one of its present generation, and resets that: it joins again, and until the other members
notice by their next heartbeat there is time for the next commit. Kafka's Java client compares the generation that was
sent with the present one, and resets nothing if they differ while it joins
(`ConsumerCoordinator.OffsetCommitResponseHandler`). `assignment()` names the old partitions all the while, so the
program cannot tell from it.
"""

import asyncio
import logging
import sys
import time
from contextlib import suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import CommitFailedError, IllegalStateError

SECONDS = 20.0


async def generations(broker: str, topic: str, group: str, committing: bool) -> int:
    """How many the group has gone through after the first, in which all three members are."""
    first, second, third = (
        AIOKafkaConsumer(topic, group_id=group, bootstrap_servers=broker, heartbeat_interval_ms=ms)
        for ms in (100, 1_000, 1_000)
    )
    async with first, second, third:
        while not all(member.assignment() for member in (first, second, third)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        before, until = first._coordinator.generation, time.monotonic() + SECONDS
        first._coordinator.request_rejoin()  # as a change of the topic's metadata has it do
        while time.monotonic() < until:
            if committing:
                with suppress(CommitFailedError, IllegalStateError):
                    await first.commit(dict.fromkeys(first.assignment(), 0))
            await asyncio.sleep(0.05)
        return int(max(member._coordinator.generation for member in (first, second, third)) - before)


async def main(broker: str) -> None:
    topic = f"while-joining-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1)])
    await admin.close()
    for committing in (False, True):
        moved = await generations(broker, topic, f"{topic}-{committing}", committing)
        what = "committing:    " if committing else "not committing:"
        print(f"{what} the group moved {moved} times in {SECONDS:g} s")


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.run(main(sys.argv[1]))
