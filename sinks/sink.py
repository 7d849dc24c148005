"""sink: every topic into Postgres, rows and progress in one transaction."""

import asyncio
from functools import partial
from typing import Any

import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from sinks import events, memories, progress, recalls
from sinks.copy import copy_rows, moment
from sinks.database import Pool, pool, sql
from sinks.prepared import Prepared
from stack.settings import Settings
from streams.consumer import Batches, Consumer, Offsets, run_loop
from streams.dead_letters import DeadLetter, bury
from streams.decode import Undecodable
from streams.kafka import producer, topics_of

STAGE = "sink"
LETTER_COLUMNS = ("topic", "partition", "offset", "stage", "reason", "key", "value", "recorded_at", "attempts")
UNKNOWN_ANIMA = "the key names no anima that is known, and ELEPHANTASM_STRICT_ANIMAS is set: create the anima first"
SLICE = 100  # records prepared at a time: under a millisecond, so that Postgres does not wait for the loop


class Sink:
    def __init__(self, settings: Settings, pool: Pool, producer: AIOKafkaProducer) -> None:
        self.settings, self.pool, self.producer = settings, pool, producer
        self.topics = topics_of(settings)

    async def prepare(self, batches: Batches) -> Prepared:
        prepared = Prepared(batches)
        for tp, records in batches.items():
            for first in range(0, len(records), SLICE):
                self._take(tp.topic, records[first : first + SLICE], prepared)
                await asyncio.sleep(0)
        return prepared

    def _take(self, topic: str, records: list[ConsumerRecord[bytes, bytes]], prepared: Prepared) -> None:
        for raw in records:
            try:
                if topic == self.topics.events.name:
                    prepared.add_of_log(raw, self.settings.partitions)
                elif topic == self.topics.memories.name:
                    prepared.add_memory(raw)
                else:
                    prepared.add_letter(raw)
            except Undecodable as error:
                prepared.undecodable.append(DeadLetter.of(raw, STAGE, str(error)))

    async def write(self, prepared: Prepared, expected: Offsets, reached: Offsets) -> None:
        """One transaction for one poll. Raises NotOwner, and psycopg.Error with nothing written."""
        async with self.pool.connection() as connection, connection.transaction():
            await progress.advance(connection, STAGE, expected, reached)
            refused = await self._write_events(connection, prepared)
            if prepared.served:
                await recalls.write(connection, prepared.served)
            if prepared.revisions:
                await memories.write(connection, prepared.revisions)
            if prepared.letters:
                await _store_letters(connection, prepared.letters)
            if letters := prepared.undecodable + refused:
                # before the commit: a crash in between repeats them under the same source
                await bury(self.producer, self.topics.dead_letters.name, letters)

    async def _write_events(self, connection: psycopg.AsyncConnection[Any], prepared: Prepared) -> list[DeadLetter]:
        """Returns letters for the events of animas that must be configured first, where that is the setting."""
        arrivals, refused = prepared.arrivals, set[tuple[int, int]]()
        if not arrivals.entries:
            return []
        animas = await events.known(connection, arrivals)
        if self.settings.strict_animas:
            arrivals, refused = events.without_strangers(arrivals, animas)
        stored = await events.repeated(connection, arrivals)
        await events.write(connection, animas, events.apply(arrivals, animas, stored))
        return [
            DeadLetter.of(raw, STAGE, UNKNOWN_ANIMA)
            for tp, records in prepared.batches.items()
            for raw in records
            if tp.topic == self.topics.events.name and (tp.partition, raw.offset) in refused
        ]


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
        load = partial(progress.take_over, rows, STAGE)
        await Consumer(settings, STAGE, names, load, sink.prepare, sink.write).run()


def run(settings: Settings) -> None:
    run_loop(main(settings))
