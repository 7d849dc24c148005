from collections.abc import AsyncIterator

import pytest

from sinks.database import Pool, pool
from tests.conftest import World


@pytest.fixture
async def rows(world: World) -> AsyncIterator[Pool]:
    """A pool on the world's database."""
    async with pool(world.settings) as opened:
        yield opened
