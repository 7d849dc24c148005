"""What operators do about dead letters: choose some, then redrive or discard them. Everything done is on the log.

One call at a time, and none before the sink has read every earlier decision: so no letter is decided about twice, on
however many processes the API runs. (docs/decisions/0014-redrive.md)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from api.context import Context
from api.deadline import within
from api.errors import Problem, Unavailable
from api.waiting import passed
from sinks.database import sql
from sinks.progress import NotYet
from streams.dead_letters import DeadLetter, Decision, Outgoing, Verdict, decide, send
from streams.kafka import connection, partition_of
from streams.positions import Position

SENDABLE_BYTES = 1_000_000  # what a topic takes by default; no stage reads a record of half the size
ENDS_S = 10.0
log = structlog.get_logger()


@dataclass(frozen=True)
class Filter:
    """Which open letters; `reason` is a part of it, in any case. `ids` None: any."""

    ids: list[UUID] | None
    stage: str | None
    topic: str | None
    reason: str | None
    failed_before: datetime | None
    limit: int


@dataclass(frozen=True)
class Chosen:
    """`matching`: how many there are without the limit."""

    matching: int
    letters: list[DeadLetter]


async def choose(ctx: Context, wanted: Filter, *, sendable: bool) -> Chosen:
    """In the order in which their records were first in the log. `sendable`: only those that can be redriven.

    Raises Problem 404 or 409 if a letter that was named is not among them.
    """
    topics = ctx.resources.topics
    values = {
        "ids": wanted.ids,
        "stage": wanted.stage,
        "topic": wanted.topic,
        "reason": wanted.reason,
        "failed_before": wanted.failed_before,
        "limit": len(wanted.ids) if wanted.ids else wanted.limit,
        "most": SENDABLE_BYTES if sendable else None,
        "topics": [topic.name for topic in (topics.events, topics.triggers, topics.memories)],
        "partitions": ctx.settings.partitions,
    }
    rows = await ctx.rows(sql("dead_letters_choose"), values)
    if wanted.ids:
        await _require_all(ctx, set(wanted.ids) - {row["id"] for row in rows})
    return Chosen(rows[0]["matching"] if rows else 0, [_letter(row) for row in rows])


async def redrive(ctx: Context, wanted: Filter) -> tuple[Chosen, list[Position]]:
    """Their records once more on the topics they came from, and where. Raises Problem, and Unavailable (503)."""
    async with _alone(ctx) as producer:
        chosen = await choose(ctx, wanted, sendable=True)
        sent = await _send(ctx, producer, chosen.letters)
        pairs = [(one, place) for one, place in zip(chosen.letters, sent, strict=True) if isinstance(place, Position)]
        await _decide(ctx, producer, [_decision(ctx, one, Verdict.redriven, str(place)) for one, place in pairs])
    if len(pairs) < len(sent):
        raise Unavailable(f"Kafka acknowledged {len(pairs)} of {len(sent)} records; the other letters remain open")
    return chosen, [place for _, place in pairs]


async def discard(ctx: Context, wanted: Filter, why: str) -> Chosen:
    """They stay, marked with who and why. Raises Problem, and Unavailable (503)."""
    async with _alone(ctx) as producer:
        chosen = await choose(ctx, wanted, sendable=False)
        await _decide(ctx, producer, [_decision(ctx, one, Verdict.discarded, why) for one in chosen.letters])
    return chosen


def outgoing(letter: DeadLetter, events: str, partitions: int) -> Outgoing:
    """The redriven record. On the log it goes to its key's own partition, wherever it stood. Pure."""
    home = letter.source.partition
    if letter.source.topic == events and letter.key:
        home = partition_of(letter.key, partitions)
    return Outgoing(home, letter.key, letter.value, letter.again().headers(), letter.timestamp_ms)


def _letter(row: dict[str, Any]) -> DeadLetter:
    topic, attempts = row["topic"], row["attempts"]
    first = Position(topic, row["first_partition"], row["first_offset"])
    at = round(row["recorded_at"].timestamp() * 1000)
    source = Position(topic, row["partition"], row["offset"])
    return DeadLetter(source, row["stage"], row["reason"], row["key"], row["value"], at, attempts, first)


def _decision(ctx: Context, letter: DeadLetter, verdict: Verdict, note: str) -> Decision:
    return Decision(letter.source, letter.stage, verdict, ctx.caller.name, note)


async def _require_all(ctx: Context, missing: set[UUID]) -> None:
    for one in sorted(missing):
        row = await ctx.row("SELECT state, decided_at, decided_by, note FROM dead_letters WHERE id = %s", [one])
        if row is None:
            raise Problem(404, f"dead letter {one} is not known")
        if row["state"] != "open":
            when = row["decided_at"].isoformat(timespec="seconds")
            raise Problem(409, f"dead letter {one} was {row['state']} by {row['decided_by']} at {when}: {row['note']}")
        raise Problem(
            409, f"dead letter {one} cannot be redriven: it has no value, is too large, or came from another log"
        )


@asynccontextmanager
async def _alone(ctx: Context) -> AsyncIterator[AIOKafkaProducer]:
    """With a producer, while no other call decides, and with every earlier decision in the rows."""
    producer = ctx.resources.log.producer
    if producer is None:
        raise Unavailable("Kafka cannot be reached; nothing was changed")
    async with ctx.pool.connection() as lock, lock.transaction():
        await _lock(lock)
        for position in await within(ENDS_S, _ends(ctx), "Kafka did not answer"):
            await passed(ctx, position, ctx.settings.after_timeout_s)
        yield producer


async def _lock(connection: psycopg.AsyncConnection[Any]) -> None:
    """Until the transaction ends, as it does when this process dies."""
    cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(hashtext('dead letters')) AS locked")
    row = await cursor.fetchone()
    if not row or not row["locked"]:
        raise Problem(409, "dead letters are being redriven or discarded by another call; repeat this one after it")


async def _ends(ctx: Context) -> list[Position]:
    """The last position of each partition of the topic of dead letters."""
    topic = ctx.resources.topics.dead_letters.name
    async with AIOKafkaConsumer(**connection(ctx.settings)) as kafka:
        ends = await kafka.end_offsets([TopicPartition(topic, number) for number in range(ctx.settings.partitions)])
    return [Position(tp.topic, tp.partition, end - 1) for tp, end in ends.items() if end]


async def _send(ctx: Context, producer: AIOKafkaProducer, letters: list[DeadLetter]) -> list[Position | BaseException]:
    """What became of each, in order."""
    events, partitions = ctx.resources.topics.events.name, ctx.settings.partitions
    deliveries = [await send(producer, letter.source.topic, outgoing(letter, events, partitions)) for letter in letters]
    sent = await asyncio.gather(*deliveries, return_exceptions=True)
    for failure in {repr(one) for one in sent if isinstance(one, BaseException)}:
        log.warning("not redriven", error=failure)
    return [one if isinstance(one, BaseException) else Position(one.topic, one.partition, one.offset) for one in sent]


async def _decide(ctx: Context, producer: AIOKafkaProducer, decisions: list[Decision]) -> None:
    """Until the rows say so. Raises Unavailable (503) that says it is done all the same."""
    places = await decide(producer, ctx.resources.topics.dead_letters.name, decisions)
    try:
        for last in {place.partition: place for place in sorted(places)}.values():
            await passed(ctx, last, ctx.settings.after_timeout_s)
    except (NotYet, psycopg.OperationalError, Unavailable) as error:
        raise Unavailable(f"{len(decisions)} are decided, which cannot be read yet; do not repeat it") from error
