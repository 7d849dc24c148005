"""Vectors of items: kept by what they were made of, stored beside the anima they belong to."""

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from pgvector import HalfVector
from psycopg import sql as composed

from sinks.database import sql
from sinks.items import Item

TYPES = ["uuid", "int2", "int2", "int2", "int4", "uuid", "halfvec"]


def embedded_text(item: Item) -> str:
    """What a vector is made of: who said it, and what."""
    return f"{item.author}: {item.text}" if item.author else item.text


def content_hash(text: str) -> UUID:
    return UUID(bytes=hashlib.sha256(text.encode()).digest()[:16])


def table(dimensions: int) -> str:
    return f"vectors_{dimensions}"


async def model_id(connection: psycopg.AsyncConnection[Any], name: str, dimensions: int) -> int:
    """The number of a model in this database; registers it at first use."""
    # Asked first: an insert that conflicts uses up one of the 32,767 numbers all the same.
    if (known := await _model_id(connection, name)) is not None:
        return known
    await connection.execute(sql("embedding_model_register"), [name, dimensions])
    registered = await _model_id(connection, name)
    assert registered is not None
    return registered


async def _model_id(connection: psycopg.AsyncConnection[Any], name: str) -> int | None:
    row = await (await connection.execute("SELECT id FROM embedding_models WHERE name = %s", [name])).fetchone()
    return int(row["id"]) if row is not None else None


async def kept(
    connection: psycopg.AsyncConnection[Any], dimensions: int, model: int, hashes: Sequence[UUID]
) -> dict[UUID, HalfVector]:
    """Vectors that were computed before, by content. However often something was said, one row of it is read."""
    statement = composed.SQL(
        "SELECT content_hash, found.v FROM unnest(%s::uuid[]) AS asked (content_hash) CROSS JOIN LATERAL "
        "(SELECT v FROM {} AS kept WHERE kept.content_hash = asked.content_hash AND model = %s LIMIT 1) AS found"
    ).format(composed.Identifier(table(dimensions)))
    cursor = await connection.execute(statement, [list(set(hashes)), model], binary=True)
    return {row["content_hash"]: row["v"] for row in await cursor.fetchall()}


async def embedded(
    connection: psycopg.AsyncConnection[Any], dimensions: int, model: int, items: list[Item]
) -> set[tuple[UUID, int, int, int]]:
    """Which of these items have their vector."""
    statement = composed.SQL(
        "SELECT anima_id, layer, generation, seq FROM {} JOIN unnest(%s::uuid[], %s::int[], %s::int[], %s::int[]) "
        "AS item (anima_id, layer, generation, seq) USING (anima_id, layer, generation, seq) WHERE model = %s"
    ).format(composed.Identifier(table(dimensions)))
    columns = [[getattr(item, name) for item in items] for name in ("anima_id", "layer", "generation", "seq")]
    cursor = await connection.execute(statement, [*columns, model])
    return {(row["anima_id"], row["layer"], row["generation"], row["seq"]) for row in await cursor.fetchall()}


async def store(
    connection: psycopg.AsyncConnection[Any], dimensions: int, model: int, vectors: list[tuple[Item, UUID, HalfVector]]
) -> None:
    statement = composed.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(composed.Identifier(table(dimensions)))
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(TYPES)
        for item, content, vector in vectors:
            await copy.write_row((item.anima_id, item.layer, item.generation, model, item.seq, content, vector))
