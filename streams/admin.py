"""The admin step: every declared topic exists, with the partition count in force, before anything else starts."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from stack.settings import Settings
from streams.kafka import connection, topics_of


class WrongPartitionCount(Exception):
    """A topic exists with another partition count; animas would move to other partitions and lose their order."""


VISIBLE_S, POLL_S = 10.0, 0.05


async def ensure_topics(settings: Settings) -> list[str]:
    """Create what is missing; returns the names created. Raises WrongPartitionCount."""
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        wanted = {topic.name: topic for topic in topics_of(settings).all()}
        # Asked to create all of them: a listing may not show yet what somebody created a moment ago.
        response = await admin.create_topics(
            [
                NewTopic(topic.name, settings.partitions, settings.replication, topic_configs=topic.config)
                for topic in wanted.values()
            ]
        )
        codes = {name: code for name, code, *_ in response.topic_errors}
        for name, code in codes.items():
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(f"creating topic {name}")
        for name in wanted:
            _refuse_other(name, await _partitions(admin, name), settings.partitions)
        return [name for name in wanted if not codes[name]]
    finally:
        await admin.close()


async def _partitions(admin: AIOKafkaAdminClient, name: str) -> int:
    """How many partitions a topic has, once the broker asked knows of it."""
    async with asyncio.timeout(VISIBLE_S):
        while True:
            (topic,) = await admin.describe_topics([name])
            if found := len(topic["partitions"]):
                return found
            await asyncio.sleep(POLL_S)


def _refuse_other(name: str, found: int, partitions: int) -> None:
    if found != partitions:
        raise WrongPartitionCount(
            f"topic {name} has {found} partitions, ELEPHANTASM_PARTITIONS is {partitions}: set it to {found}, or start "
            "a new log under another ELEPHANTASM_TOPIC_PREFIX"
        )
