import pytest

from stack.settings import Settings
from streams.admin import WrongPartitionCount, ensure_topics
from streams.kafka import topics_of
from tests.conftest import World


async def test_what_exists_is_not_created_again(world: World) -> None:
    assert await ensure_topics(world.settings) == []


async def test_another_generation_shares_the_log(world: World) -> None:
    second = world.settings.model_copy(update={"generation": 2})
    created = await ensure_topics(second)
    assert set(created) == {topic.name for topic in topics_of(second).all()} - {
        topic.name for topic in topics_of(world.settings).all()
    }
    assert topics_of(second).events.name not in created


@pytest.mark.parametrize("partitions", [1, 16])
async def test_another_partition_count_is_refused(world: World, partitions: int) -> None:
    changed: Settings = world.settings.model_copy(update={"partitions": partitions})
    with pytest.raises(WrongPartitionCount, match=rf"has 8 partitions, ELEPHANTASM_PARTITIONS is {partitions}"):
        await ensure_topics(changed)
