"""The admin step: every declared topic exists, with the partition count in force, before anything else starts."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from stack.settings import Settings
from streams.kafka import connection, topics_of


class WrongPartitionCount(Exception):
    """A topic exists with another partition count; animas would move to other partitions and lose their order."""


async def ensure_topics(settings: Settings) -> list[str]:
    """Create what is missing; returns the names created. Raises WrongPartitionCount."""
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        wanted = topics_of(settings).all()
        existing = set(await admin.list_topics())
        await _check_partitions(admin, [t.name for t in wanted if t.name in existing], settings.partitions)
        missing = [t for t in wanted if t.name not in existing]
        response = await admin.create_topics(
            [NewTopic(t.name, settings.partitions, settings.replication, topic_configs=t.config) for t in missing]
        )
        for name, code, *_ in response.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(f"creating topic {name}")
        return [t.name for t in missing]
    finally:
        await admin.close()


async def _check_partitions(admin: AIOKafkaAdminClient, names: list[str], partitions: int) -> None:
    for topic in await admin.describe_topics(names) if names else []:
        found = len(topic["partitions"])
        if found != partitions:
            raise WrongPartitionCount(
                f"topic {topic['topic']} has {found} partitions, ELEPHANTASM_PARTITIONS is {partitions}: "
                f"set it to {found}, or start a new log under another ELEPHANTASM_TOPIC_PREFIX"
            )
