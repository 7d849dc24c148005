"""The stage `synthesize` under kills: every event in exactly one window, every window exactly one memory."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid5

from sinks.database import Pool, pool
from streams.kafka import topics_of
from streams.positions import window_id
from streams.records import Event
from tests.conftest import World
from tests.live.faults import Workers
from tests.live.log import Sent, passed, read, send

ANIMAS, EVENTS = 30, 300
LINKS = """
SELECT memory_id, array_agg(event_seq ORDER BY event_seq) AS seqs, sum(weight) AS weight
FROM memory_events GROUP BY memory_id
"""


def conversation(events: int) -> list[Sent]:
    """Each anima says so many different things; twenty make a window."""
    return [
        Sent(
            b"anima-%d" % anima,
            Event(event_type="message.in", content=f"Parcel {n} of {anima} left on day {n % 7}.").value(),
        )
        for n in range(events)
        for anima in range(ANIMAS)
    ]


async def select(rows: Pool, query: str) -> list[dict[str, Any]]:
    async with rows.connection() as connection:
        return await (await connection.execute(query)).fetchall()


async def test_killed_workers_make_one_memory_of_each_window(make_world: Callable[..., Any]) -> None:
    world: World = await make_world(token_weight=0.0)
    topics = topics_of(world.settings)
    async with pool(world.settings) as rows:
        for stage in ("sink", "score"):
            world.stage(stage)
        sending = asyncio.ensure_future(send(world.settings, conversation(EVENTS)))
        workers = Workers.of(world, "synthesize")
        await workers.killed(2)
        await sending

        async def complete() -> bool:
            [count] = await select(rows, "SELECT count(DISTINCT id)::int AS memories FROM memories")
            return bool(count["memories"] == ANIMAS * EVENTS // 20)

        await workers.watched(complete, 120, "every window has its memory")
        await passed(rows, world.settings, "sink", [topics.memories.name])
        await check(rows, EVENTS)
    emitted = [record.value for record in await read(world.settings, topics.memories.name)]
    assert len(set(emitted)) == ANIMAS * EVENTS // 20  # repeats after a kill say the same


async def check(rows: Pool, events: int) -> None:
    """Windows are contiguous and hold all of each anima's events, and each has its memory."""
    windows = await select(rows, "SELECT * FROM windows ORDER BY anima_id, first_seq")
    memories = {one["id"]: one for one in await select(rows, "SELECT * FROM memories")}
    links = await select(rows, LINKS)
    linked: dict[UUID, list[int]] = {one["memory_id"]: one["seqs"] for one in links}
    assert all(abs(one["weight"] - 1) < 1e-4 for one in links)
    by_anima: dict[UUID, list[dict[str, Any]]] = {}
    for window in windows:
        by_anima.setdefault(window["anima_id"], []).append(window)
        identity = window_id(*(window[name] for name in ("anima_id", "partition", "first_offset", "last_offset")))
        memory = memories.pop(uuid5(identity, "memory"))
        seqs = list(range(window["first_seq"], window["last_seq"] + 1))
        assert linked.pop(memory["id"]) == seqs
        assert (memory["first_seq"], memory["last_seq"], memory["revision"]) == (seqs[0], seqs[-1], 1)
    assert (memories, linked) == ({}, {})
    for mine in by_anima.values():
        assert (mine[0]["first_seq"], mine[-1]["last_seq"]) == (0, events - 1)
        assert all(before["last_seq"] + 1 == after["first_seq"] for before, after in pairwise(mine))
