"""Where unknown animas are refused, score counts their events all the same: their windows hold nothing."""

from sinks.database import pool
from streams.kafka import topics_of
from streams.lag import lags
from streams.records import Configure, Event
from tests.api.conftest import MakeWorld, Serve, connected, serve
from tests.live.log import Sent, eventually, passed, read, send

__all__ = ["serve"]


def said(number: int) -> Sent:
    return Sent(b"wren", Event(event_type="message.in", content=f"Parcel {number} left.").value())


async def test_windows_of_refused_events_hold_nothing_and_hold_up_nothing(make_world: MakeWorld, serve: Serve) -> None:
    world = await make_world(strict_animas=True, token_weight=0.0)
    http, topics = await connected(await serve(world.settings)), topics_of(world.settings)
    async with pool(world.settings) as rows:
        for stage in ("score", "sink", "synthesize"):
            world.stage(stage)
        await send(world.settings, [said(number) for number in range(25)])

        async def synthesized() -> bool:
            done = sum(one.lag for one in await lags(world.settings) if one.stage in ("score", "synthesize")) == 0
            return done and bool(await read(world.settings, topics.triggers.name))

        await eventually(synthesized, 60, "the window of refused events is dealt with")
        async with rows.connection() as connection:
            assert await (await connection.execute("SELECT FROM windows")).fetchall() == []
        await passed(rows, world.settings, "sink", [topics.events.name])
        await passed(rows, world.settings, "sink", [topics.dead_letters.name])
        await send(world.settings, [Sent(b"wren", Configure(name="Wren").value())])
        answer = await http.post("/dead-letters/redrive", json={"stage": "sink"})
        assert len(answer.json()["items"]) == 25
        await send(world.settings, [said(number) for number in range(25, 35)])

        async def remembered() -> bool:
            async with rows.connection() as connection:
                query = "SELECT coalesce(max(last_seq), -1) >= 33 AS done FROM memories"
                row = await (await connection.execute(query)).fetchone()
            return bool(row and row["done"])

        await eventually(remembered, 60, "what was refused and came again is in memories")
        async with rows.connection() as connection:
            query = "SELECT first_seq, last_seq FROM memories ORDER BY first_seq"
            spans = [tuple(row.values()) for row in await (await connection.execute(query)).fetchall()]
            query = "SELECT content FROM events ORDER BY seq"
            contents = [row["content"] for row in await (await connection.execute(query)).fetchall()]
    assert contents == [f"Parcel {number} left." for number in range(35)]
    assert [seq for first, last in spans for seq in range(first, last + 1)] == list(range(spans[-1][1] + 1))
