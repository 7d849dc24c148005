"""Memory revisions into rows, within the sink's transaction: a change closes the old revision and opens a new one."""

from collections import defaultdict
from typing import Any
from uuid import UUID

import psycopg

from sinks.copy import copy_rows
from sinks.database import sql
from streams.records import Memory

COLUMNS = (
    "generation", "id", "revision", "anima_id", "seq", "summary", "content", "importance", "confidence", "state",
    "started_at", "ended_at", "recorded_at", "model", "prompt_name", "prompt_hash", "trigger", "first_seq", "last_seq",
    "partition", "offset",
)  # fmt: skip
LINK_COLUMNS = ("generation", "memory_id", "revision", "event_seq", "anima_id", "weight")
Stored = tuple[Memory, int, int]  # the record, its partition and offset


async def write(connection: psycopg.AsyncConnection[Any], arrivals: list[Stored]) -> None:
    """Append the revisions that are new; a repeat of a revision changes nothing."""
    fresh = await _new(connection, arrivals)
    if not fresh:
        return
    following = await _next_seq(connection, fresh)
    rows = []
    for memory, partition, offset in fresh:
        key = (memory.generation, memory.anima_id)
        rows.append(_row(memory, following[key], partition, offset))
        following[key] += 1
    await copy_rows(connection, "memories", COLUMNS, rows)
    await copy_rows(
        connection, "memory_events", LINK_COLUMNS, [link for memory, _, _ in fresh for link in _links(memory)]
    )
    await connection.execute(sql("windows_of_memories"), _windows([memory for memory, _, _ in fresh]))
    await connection.execute(
        sql("memories_close"),
        [[m.generation for m, _, _ in fresh], [m.id for m, _, _ in fresh]],
    )


async def _new(connection: psycopg.AsyncConnection[Any], arrivals: list[Stored]) -> list[Stored]:
    cursor = await connection.execute(sql("memories_existing"), [[m.id for m, _, _ in arrivals]])
    seen = {(row["generation"], row["id"], row["revision"]) for row in await cursor.fetchall()}
    fresh = []
    for arrival in arrivals:
        memory = arrival[0]
        identity = (memory.generation, memory.id, memory.revision)
        if identity not in seen:
            seen.add(identity)
            fresh.append(arrival)
    return fresh


async def _next_seq(connection: psycopg.AsyncConnection[Any], fresh: list[Stored]) -> dict[tuple[int, UUID], int]:
    keys = {(m.generation, m.anima_id) for m, _, _ in fresh}
    cursor = await connection.execute(sql("memories_next_seq"), [list(column) for column in zip(*keys, strict=True)])
    following: defaultdict[tuple[int, UUID], int] = defaultdict(int)
    following.update({(row["generation"], row["anima_id"]): row["next_seq"] for row in await cursor.fetchall()})
    return following


def _row(memory: Memory, seq: int, partition: int, offset: int) -> tuple[Any, ...]:
    return (
        memory.generation, memory.id.hex, memory.revision, memory.anima_id.hex, seq, memory.summary, memory.content,
        memory.importance, memory.confidence, memory.state, memory.started_at, memory.ended_at, memory.recorded_at,
        memory.model, memory.prompt_name, memory.prompt_hash, memory.trigger.model_dump_json(),
        *_span(memory), partition, offset,
    )  # fmt: skip


def _windows(memories: list[Memory]) -> list[list[Any]]:
    rows = [
        (m.generation, m.anima_id, m.trigger.partition, m.first_offset, m.last_offset, *_span(m), m.trigger.id)
        for m in memories
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def _span(memory: Memory) -> tuple[int, int]:
    """First and last seq of its window's events."""
    seqs = [link.seq for link in memory.links]
    return min(seqs), max(seqs)


def _links(memory: Memory) -> list[tuple[Any, ...]]:
    return [
        (memory.generation, memory.id.hex, memory.revision, link.seq, memory.anima_id.hex, link.weight)
        for link in memory.links
    ]
