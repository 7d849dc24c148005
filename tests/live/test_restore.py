"""A Postgres restored from an old dump, or emptied, catches up from the log by itself to the same rows."""

import asyncio
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from aiokafka.structs import TopicPartition
from psycopg import sql

from agents.embeddings.minilm import NAME
from sinks.database import dsn
from sinks.migrate import migrate
from stack.postgres import installation
from stack.settings import Settings
from streams.kafka import partition_of, topics_of
from streams.lag import lags
from streams.records import Configure, Event, Recall, RecalledItem
from streams.topology import STAGES
from tests.conftest import World
from tests.live.log import Sent, ends, eventually, read, send

ANIMAS = [b"anima-%d" % number for number in range(5)]
WINDOW = 20  # events
# The ledger of paid calls is in Postgres alone; the rest of what is left out is the wall clock's.
NOT_DERIVED = {"llm_calls", "migrations", "stops"}
WALL_CLOCK = {("progress", "updated_at")}
PROGRESS = {"sink": "sink", "index": "index", "embed": f"embed {NAME}"}


def said(first: int, count: int) -> list[Sent]:
    """Whole windows of each anima, with what else may stand on a log between them."""
    records = []
    for number in range(first, first + count):
        for anima in ANIMAS:
            author = ("Ines", "INES", "ada")[number % 3]
            content = f"Parcel {number} of {anima.decode()} left on day {number % 7}."
            event = Event(event_type="message.in", content=content, author=author, dedupe_key=str(number))
            records.append(Sent(anima, event.value()))
    again = [Sent(ANIMAS[0], Event(event_type="m", content="again", dedupe_key=str(first)).value())]
    odd = [Sent(ANIMAS[1], Configure(description=f"since {first}").value()), Sent(ANIMAS[2], b"rubbish")]
    return [*odd, *records, *again]


def recall(memory: UUID, anima: bytes) -> Sent:
    items = (RecalledItem(kind="memory", id=memory),)
    served = Recall(
        pack_id="0" * 64, generation=1, preset="default", max_tokens=500, token_count=1, content="", items=items
    )
    return Sent(anima, served.value())


class Restorable:
    """A world whose stages are stopped and started, and whose database is dumped, restored, emptied and read."""

    def __init__(self, world: World) -> None:
        self.world, self.settings = world, world.settings
        self.dsn = dsn(world.settings)

    def start(self, *names: str) -> None:
        for name in names or [stage.name for stage in STAGES]:
            self.world.stage(name)

    def stop(self, but: "subprocess.Popen[bytes] | None" = None) -> None:
        stopped = [process for process in self.world.workers if process is not but]
        for process in stopped:
            process.terminate()
        for process in stopped:
            process.wait(30)
            self.world.workers.remove(process)

    async def select(self, query: Any) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            return await (await connection.execute(query)).fetchall()

    async def execute(self, *statements: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                await connection.execute(statement.encode())

    async def program(self, name: str, *arguments: str) -> None:
        command = [str(installation() / "bin" / name), *arguments]
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)

    async def dump(self, file: Path) -> None:
        await self.program("pg_dump", "--format=custom", f"--file={file}", f"--dbname={self.dsn}")

    async def restore(self, file: Path) -> None:
        await self.program(
            "pg_restore", "--clean", "--if-exists", "--single-transaction", f"--dbname={self.dsn}", str(file)
        )

    async def empty(self) -> None:
        await self.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        await migrate(self.dsn)

    async def settled(self, limit_s: float = 90) -> None:
        """Until every stage has read all that it reads: by Postgres where it keeps its progress there."""
        await eventually(self._caught_up, limit_s, "every stage has read everything", every_s=0.3)

    async def _caught_up(self) -> bool:
        if any(process.poll() is not None for process in self.world.workers):
            raise AssertionError(f"a stage has ended; see {self.world.folder}")
        before = await self._ends()
        rows = await self.select("SELECT stage, topic, partition, next_offset FROM progress")
        progress = {(stage, TopicPartition(topic, partition)): offset for stage, topic, partition, offset in rows}
        messages = {(one.stage, TopicPartition(one.topic, one.partition)): one.lag for one in await lags(self.settings)}
        behind = [
            tp
            for (stage, tp), lag in messages.items()
            if (progress.get((PROGRESS[stage], tp), 0) < before[tp] if stage in PROGRESS else lag)
        ]
        return not behind and before == await self._ends()

    async def _ends(self) -> dict[TopicPartition, int]:
        topics = [topic.name for topic in topics_of(self.settings).all()]
        return {tp: end for name in topics for tp, end in (await ends(self.settings, name)).items()}

    async def tables(self) -> dict[str, list[str]]:
        """Every row of every derived table as text, without what the wall clock wrote, and without the progress in the
        dead letters: a poison record that is read again is buried again, and is one row all the same.
        """
        columns = await self.select(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
            "ORDER BY table_name, ordinal_position"
        )
        found = {}
        for table in sorted({table for table, _ in columns} - NOT_DERIVED):
            names = [name for of, name in columns if of == table and (table, name) not in WALL_CLOCK]
            row = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(map(sql.Identifier, names)))
            query = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(row, sql.Identifier(table))
            letters = topics_of(self.settings).dead_letters.name
            rows = [text for (text,) in await self.select(query)]
            found[table] = [row for row in rows if table != "progress" or letters not in row]
        return found

    async def memories(self) -> list[bytes]:
        return [record.value for record in await read(self.settings, topics_of(self.settings).memories.name)]


@pytest.fixture
async def restorable(make_world: Callable[..., Awaitable[World]]) -> Restorable:
    return Restorable(await make_world(token_weight=0.0, time_weight=0.0))


def differing(found: dict[str, list[str]], expected: dict[str, list[str]]) -> dict[str, Any]:
    """By table: rows that are missing and rows that should not be there."""
    return {
        table: (sorted(set(expected[table]) - set(rows))[:3], sorted(set(rows) - set(expected[table]))[:3])
        for table, rows in found.items()
        if rows != expected[table]
    }


async def test_the_same_rows_come_back(restorable: Restorable, tmp_path: Path) -> None:
    restorable.start()
    await send(restorable.settings, said(0, 2 * WINDOW))
    await restorable.settled()
    [(memory,)] = await restorable.select(
        "SELECT m.id FROM memories m JOIN animas a ON a.id = anima_id WHERE key = 'anima-0' ORDER BY seq LIMIT 1"
    )
    await send(restorable.settings, [recall(memory, ANIMAS[0])])
    await restorable.settled()
    await restorable.dump(tmp_path / "yesterday")
    await send(restorable.settings, [*said(2 * WINDOW, 2 * WINDOW + 3), recall(memory, ANIMAS[0])])
    await restorable.settled()
    restorable.stop()
    expected, remembered = await restorable.tables(), await restorable.memories()
    assert all(rows for table, rows in expected.items() if table not in ("chunks", "postings", "vectors_1536"))
    assert len(expected["windows"]) == len(expected["memories"]) == len(remembered) == 4 * len(ANIMAS)

    for lost in ("some", "all"):
        await (restorable.restore(tmp_path / "yesterday") if lost == "some" else restorable.empty())
        assert await restorable.tables() != expected
        restorable.start()
        await restorable.settled()
        restorable.stop()
        assert differing(await restorable.tables(), expected) == {}
        assert await restorable.memories() == remembered


async def test_idle_stages_notice_that_the_database_was_emptied(restorable: Restorable) -> None:
    names = ("sink", "index", "embed")
    restorable.start(*names)
    await send(restorable.settings, said(0, WINDOW))
    await eventually(lambda: none_behind(restorable.settings), 60, "all is read")
    expected = await restorable.tables()
    derived = sorted(set(expected) - {"embedding_models"})
    await restorable.execute(f"TRUNCATE {', '.join(derived)}")

    async def back() -> bool:
        return differing(await restorable.tables(), expected) == {}

    await eventually(back, 60, "every row is back", every_s=0.3)


@pytest.mark.parametrize("begun", ["anew", "long before"])
async def test_what_is_said_while_the_database_is_away_is_remembered_once(restorable: Restorable, begun: str) -> None:
    """The hard order: events are written again before the memories, from which alone it is known what was claimed.
    Whether synthesize is started on the emptied tables, or they are emptied beneath it.
    """
    synthesize = restorable.world.stage("synthesize")
    restorable.start("score", "sink", "index", "embed")
    await send(restorable.settings, said(0, 2 * WINDOW))
    await restorable.settled()
    synthesize.send_signal(signal.SIGSTOP)
    await send(restorable.settings, said(2 * WINDOW, WINDOW))
    await eventually(lambda: sunk_with_triggers(restorable), 60, "triggers wait for synthesize")
    restorable.stop(but=synthesize)
    topic = topics_of(restorable.settings).memories.name
    await restorable.execute(
        "TRUNCATE windows, memories, memory_events", f"DELETE FROM progress WHERE stage = 'sink' AND topic = '{topic}'"
    )
    log, before = restorable.world.folder / "synthesize-1.log", len(await restorable.memories())
    logged = log.stat().st_size
    if begun == "anew":
        synthesize.kill()
        restorable.start("synthesize")
    synthesize.send_signal(signal.SIGCONT)

    async def decided() -> bool:
        return b"waiting for the sink" in log.read_bytes()[logged:] or len(await restorable.memories()) > before

    await eventually(decided, 60, "synthesize waits for the claims, or goes on without them")
    restorable.start("sink")
    await eventually(lambda: remembered(restorable, 3 * len(ANIMAS)), 60, "each window has its memory")
    spans = "SELECT array_agg(first_seq ORDER BY seq), array_agg(last_seq ORDER BY seq) FROM memories GROUP BY anima_id"
    for first, last in await restorable.select(spans):
        assert len(first) == 3
        assert first == [0, *(seq + 1 for seq in last[:2])]
    assert len(set(await restorable.memories())) == 3 * len(ANIMAS)


async def sunk_with_triggers(restorable: Restorable) -> bool:
    """All events are rows, and each anima's third window has its trigger."""
    triggers = await read(restorable.settings, topics_of(restorable.settings).triggers.name)
    [(events,)] = await restorable.select("SELECT count(*) FROM events")
    return events == 3 * WINDOW * len(ANIMAS) and len({record.value for record in triggers}) == 3 * len(ANIMAS)


async def remembered(restorable: Restorable, count: int) -> bool:
    [(memories,)] = await restorable.select("SELECT count(*) FROM memories")
    return bool(memories >= count)


async def test_kafka_s_offsets_go_back_to_where_postgres_stands(restorable: Restorable) -> None:
    """Or lag and `settled` would say that all is done as long as the first batch takes."""
    restorable.start("sink", "index", "embed")
    await send(restorable.settings, said(0, 3))
    await eventually(lambda: none_behind(restorable.settings), 60, "all is read")
    restorable.stop()
    await restorable.empty()
    restorable.start("index", "embed")  # which wait for the sink in their first batch
    await eventually(lambda: all_behind(restorable.settings), 60, "their lag is the whole log")
    restorable.start("sink")
    await eventually(lambda: none_behind(restorable.settings), 60, "all is read again")


async def behind(settings: Settings) -> list[tuple[int, int]]:
    """Lag and end of the partitions of the log that hold something, for the stages that follow Postgres."""
    log, partitions = topics_of(settings).events.name, {partition_of(anima, settings.partitions) for anima in ANIMAS}
    return [
        (one.lag, one.end)
        for one in await lags(settings)
        if one.stage in ("index", "embed") and one.topic == log and one.partition in partitions
    ]


async def none_behind(settings: Settings) -> bool:
    return all(end and not messages for messages, end in await behind(settings))


async def all_behind(settings: Settings) -> bool:
    return all(messages == end for messages, end in await behind(settings))
