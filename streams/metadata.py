"""aiokafka asks a broker for metadata again at once, for as long as what it is told does not help.

While a partition's leader or a group's coordinator is away and another broker answers, every consumer and producer asks
without a pause (aiokafka 0.14.0, docs/upstream): processes that can only wait take the CPU of those that start.
"""

import asyncio
import time
from typing import Any

from aiokafka.client import AIOKafkaClient

_ask = AIOKafkaClient._metadata_update


async def _ask_with_pauses(client: Any, cluster: Any, topics: Any) -> bool:
    """The same question no more often than every `retry_backoff_ms`."""
    question = frozenset(topics or ())
    asked, at = getattr(client, "_asked", (None, 0.0))
    if asked == question:
        await asyncio.sleep(max(0.0, at + client._retry_backoff - time.monotonic()))
    client._asked = (question, time.monotonic())
    return bool(await _ask(client, cluster, topics))


def pace() -> None:
    """For every client of this process."""
    AIOKafkaClient._metadata_update = _ask_with_pauses
