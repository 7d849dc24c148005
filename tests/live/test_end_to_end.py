"""One conversation through the whole stack, from a foreign producer to rows."""

import asyncio
import subprocess
import sys
from itertools import pairwise

import httpx
import psycopg

from sinks.database import dsn
from stack.embedded import Stack

KEY = "end-to-end"  # not that of the examples in the OpenAPI document, which other tests send
# At least: where the clock of its partition is past the sample already, silence adds nothing to the score.
WINDOWS = 19
_COUNT = "SELECT count(*) FROM memories JOIN animas ON animas.id = anima_id WHERE key = %s"
_SPANS = """
SELECT first_seq, last_seq FROM memories JOIN animas ON animas.id = anima_id WHERE key = %s ORDER BY first_seq
"""


async def test_a_foreign_producer_is_remembered(stack: Stack, http: httpx.AsyncClient) -> None:
    bootstrap = f"127.0.0.1:{stack.settings.kafka_port}"
    command = [
        sys.executable,
        "examples/publish.py",
        "--bootstrap",
        bootstrap,
        "--topic",
        "elephantasm.events",
        "--key",
        KEY,
    ]
    await asyncio.to_thread(subprocess.run, command, check=True)
    async with asyncio.timeout(60), await psycopg.AsyncConnection.connect(dsn(stack.settings), autocommit=True) as rows:
        while True:
            found = await (await rows.execute(_COUNT, [KEY])).fetchone()
            if found and found[0] >= WINDOWS:
                break
            await asyncio.sleep(0.1)
        spans = await (await rows.execute(_SPANS, [KEY])).fetchall()
    assert spans[0][0] == 0
    assert all(before[1] + 1 == after[0] for before, after in pairwise(spans))
    animas = (await http.get("/animas/search", params={"name": KEY, "limit": 200})).json()
    assert [anima["events"] for anima in animas if anima["key"] == KEY] == [397]
