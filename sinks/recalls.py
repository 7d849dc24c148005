"""Packs that were served into rows, within the sink's transaction; each counts as an access of the memories in it."""

from collections import Counter
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg

from sinks.copy import copy_rows, moment
from sinks.database import sql
from streams.records import Recall

COLUMNS = (
    "anima_id", "partition", "offset", "id", "generation", "recorded_at", "query", "preset", "max_tokens",
    "token_count", "content", "items",
)  # fmt: skip


class Served(NamedTuple):
    anima: UUID
    partition: int
    offset: int
    timestamp_ms: int
    recall: Recall


async def write(connection: psycopg.AsyncConnection[Any], served: list[Served]) -> None:
    await copy_rows(connection, "packs", COLUMNS, map(_row, served))
    counted: Counter[tuple[int, UUID, UUID]] = Counter()
    latest: dict[tuple[int, UUID, UUID], int] = {}
    for one in served:
        for item in one.recall.items:
            if item.kind == "memory":
                key = (one.recall.generation, item.id, one.anima)
                counted[key] += 1
                latest[key] = max(one.timestamp_ms, latest.get(key, 0))
    if counted:
        generations, memories, animas = map(list, zip(*counted, strict=True))
        times = [moment(latest[key]) for key in counted]
        await connection.execute(sql("accesses_add"), [generations, memories, animas, list(counted.values()), times])


def _row(served: Served) -> tuple[Any, ...]:
    recall = served.recall
    return (
        served.anima.hex, served.partition, served.offset, recall.pack_id, recall.generation,
        moment(served.timestamp_ms), recall.query, recall.preset, recall.max_tokens, recall.token_count, recall.content,
        orjson.dumps([item.model_dump(mode="json") for item in recall.items]).decode(),
    )  # fmt: skip
