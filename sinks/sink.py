"""sink: every topic into Postgres, rows and progress in one transaction."""

from functools import partial
from typing import Any

import psycopg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from sinks import events, memories, progress, recalls
from sinks.copy import copy_rows, moment
from sinks.database import Pool, pool, sql
from stack.settings import Settings
from streams.consumer import Batches, Consumer, run_loop
from streams.dead_letters import DeadLetter, bury
from streams.decode import Undecodable, decode, read
from streams.kafka import producer, topics_of
from streams.records import Memory, Recall, Tick

STAGE = "sink"
LETTER_COLUMNS = ("topic", "partition", "offset", "stage", "reason", "key", "value", "recorded_at", "attempts")
UNKNOWN_ANIMA = "the key names no anima that is known, and ELEPHANTASM_STRICT_ANIMAS is set: create the anima first"
log = structlog.get_logger()


class Sink:
    def __init__(self, settings: Settings, pool: Pool, producer: AIOKafkaProducer) -> None:
        self.settings, self.pool, self.producer = settings, pool, producer
        self.topics = topics_of(settings)

    async def handle(self, batches: Batches, expected: dict[TopicPartition, int]) -> None:
        """One transaction for one poll. Raises NotOwner, and psycopg.Error with nothing written."""
        letters: list[DeadLetter] = []
        arrivals, served = self._log(batches, letters)
        revisions = self._memories(batches, letters)
        async with self.pool.connection() as connection, connection.transaction():
            reached = {tp: records[-1].offset + 1 for tp, records in batches.items()}
            await progress.advance(connection, STAGE, expected, reached)
            letters += await self._write_events(connection, arrivals, batches)
            if served:
                await recalls.write(connection, served)
            if revisions:
                await memories.write(connection, revisions)
            await self._write_letters(connection, batches)
            if letters:  # before the commit: a crash in between repeats them under the same source
                await bury(self.producer, self.topics.dead_letters.name, letters)

    def _log(self, batches: Batches, letters: list[DeadLetter]) -> tuple[list[events.Arrival], list[recalls.Served]]:
        arrivals, served = [], []
        for tp, records in batches.items():
            if tp.topic != self.topics.events.name:
                continue
            for raw in records:
                try:
                    anima, record = decode(raw, self.settings.partitions)
                except Undecodable as error:
                    letters.append(DeadLetter.of(raw, STAGE, str(error)))
                    continue
                if anima is None or isinstance(record, Tick):
                    continue
                if isinstance(record, Recall):
                    served.append(recalls.Served(anima, raw.partition, raw.offset, raw.timestamp, record))
                else:
                    arrivals.append(events.Arrival(anima, raw.key, raw.partition, raw.offset, raw.timestamp, record))
        return arrivals, served

    def _memories(self, batches: Batches, letters: list[DeadLetter]) -> list[memories.Stored]:
        revisions = []
        for tp, records in batches.items():
            if tp.topic != self.topics.memories.name:
                continue
            for raw in records:
                try:
                    revisions.append((read(Memory, raw), raw.partition, raw.offset))
                except Undecodable as error:
                    letters.append(DeadLetter.of(raw, STAGE, str(error)))
        return revisions

    async def _write_events(
        self, connection: psycopg.AsyncConnection[Any], arrivals: list[events.Arrival], batches: Batches
    ) -> list[DeadLetter]:
        """Returns letters for the events of animas that must be configured first, where that is the setting."""
        if not arrivals:
            return []
        animas = await events.known(connection, {arrival.anima for arrival in arrivals})
        strange = events.strangers(arrivals, animas) if self.settings.strict_animas else []
        refused = {(arrival.partition, arrival.offset) for arrival in strange}
        accepted = [arrival for arrival in arrivals if (arrival.partition, arrival.offset) not in refused]
        stored = await events.repeated(connection, accepted)
        rows = events.apply(accepted, animas, stored)
        await events.write(connection, animas, rows)
        return [
            DeadLetter.of(raw, STAGE, UNKNOWN_ANIMA)
            for tp, records in batches.items()
            for raw in records
            if tp.topic == self.topics.events.name and (tp.partition, raw.offset) in refused
        ]

    async def _write_letters(self, connection: psycopg.AsyncConnection[Any], batches: Batches) -> None:
        letters = []
        for tp, records in batches.items():
            if tp.topic != self.topics.dead_letters.name:
                continue
            for raw in records:
                try:
                    letters.append(DeadLetter.read(raw))
                except (KeyError, ValueError) as error:
                    log.warning("not one of our dead letters", offset=raw.offset, error=repr(error))
        if letters:
            await _store_letters(connection, letters)


async def _store_letters(connection: psycopg.AsyncConnection[Any], letters: list[DeadLetter]) -> None:
    unique = {(letter.source, letter.stage): letter for letter in reversed(letters)}
    await connection.execute(sql("dead_letters_incoming"))
    await copy_rows(
        connection,
        "incoming_letters",
        LETTER_COLUMNS,
        [
            (*source, stage, letter.reason.replace("\x00", "�"), letter.key, letter.value,
             moment(letter.timestamp_ms), letter.attempts)
            for (source, stage), letter in unique.items()
        ],
    )  # fmt: skip
    await connection.execute(sql("dead_letters_upsert"))


async def main(settings: Settings) -> None:
    topics = topics_of(settings)
    async with pool(settings) as rows, producer(settings) as letters:
        await rows.wait()
        sink = Sink(settings, rows, letters)
        names = [topics.events.name, topics.memories.name, topics.dead_letters.name]
        await Consumer(settings, STAGE, names, partial(progress.load, rows, STAGE), sink.handle).run()


def run(settings: Settings) -> None:
    run_loop(main(settings))
