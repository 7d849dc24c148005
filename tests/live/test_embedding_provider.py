"""The stage `embed` as a process, whose provider fails: it waits, or ends with the reason, and loses nothing."""

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from sinks.database import pool
from streams.records import Event
from tests.agents.embeddings.wire import embeddings
from tests.agents.llm.wire import reset, serving, status
from tests.conftest import World
from tests.live.log import Sent, eventually, send

EVENTS = 20


async def test_a_wrong_key_ends_it_and_what_passes_does_not(make_world: Callable[..., Any]) -> None:
    async with serving() as wire:
        world: World = await make_world(
            embedding_provider="openai", openai_api_key=SecretStr("secret"), llm_base_url=wire.url, llm_timeout_s=0.5
        )
        texts = [Event(event_type="m", content=f"said {number}").value() for number in range(EVENTS)]
        await send(world.settings, [Sent(b"wren", text) for text in texts])
        world.stage("sink")

        wire.will(status(401, "wrong key"))
        embed = world.stage("embed")

        async def ended() -> bool:
            return embed.poll() is not None

        await eventually(ended, 40, "it ends")
        log = (world.folder / "embed-1.log").read_text()
        assert embed.returncode == 1
        assert "elephantasm: ELEPHANTASM_OPENAI_API_KEY was not accepted" in log
        assert "Traceback" not in log

        wire.will(status(503), reset, wire.hang(), embeddings())
        embed = world.stage("embed")
        async with pool(world.settings) as rows:

            async def embedded() -> bool:
                async with rows.connection() as connection:
                    cursor = await connection.execute("SELECT array_agg(seq ORDER BY seq) AS seqs FROM vectors_1536")
                    return bool((await cursor.fetchall())[0]["seqs"] == list(range(EVENTS)))

            await eventually(embedded, 40, "every event has its vector")
        assert embed.poll() is None
        assert (world.folder / "embed-1.log").read_text().count("embed waits") == 3
