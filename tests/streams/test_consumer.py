"""The loop of the plain stages, where it needs no server."""

from aiokafka.structs import TopicPartition

from stack.settings import Settings
from streams.consumer import Batches, Consumer, Offsets


async def _nothing(partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    return {}


async def _prepare(batches: Batches) -> None:
    return


async def _write(prepared: None, expected: Offsets, reached: Offsets) -> None:
    return


async def test_without_partitions_there_is_nothing_to_commit() -> None:
    """As while the group is moving: aiokafka raises ValueError if it is asked to commit nothing."""
    consumer = Consumer(Settings(_env_file=None), "sink", ["t"], _nothing, _prepare, _write)
    consumer.kafka.subscribe(["t"])
    consumer.kafka._subscription.assign_from_subscribed([])
    consumer.committed = {TopicPartition("t", 0): 5}
    await consumer._commit()
    assert consumer.committed == {TopicPartition("t", 0): 5}
