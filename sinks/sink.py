"""sink: every topic into Postgres, rows and progress in one transaction."""

import asyncio
import sys
from functools import partial
from typing import Any

import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from sinks import events, letters, memories, progress, recalls, stops
from sinks.database import Pool, pool, reach
from sinks.prepared import Prepared
from stack.settings import Settings
from streams.consumer import Batches, Consumer, Offsets, run_loop
from streams.dead_letters import DeadLetter, bury
from streams.decode import Undecodable
from streams.failure_share import FailureShare, MostlyFailing, Tally
from streams.kafka import producer, topics_of

STAGE = "sink"
UNKNOWN_ANIMA = "the key names no anima that is known, and ELEPHANTASM_STRICT_ANIMAS is set: create the anima first"
LULL_S = 0.02  # between polls of a log read to its end: rows are waited for
SLICE = 25  # records prepared at a time: a fraction of a millisecond, so that Postgres does not wait for the loop


class Sink:
    def __init__(self, settings: Settings, pool: Pool, producer: AIOKafkaProducer, past: Tally | None) -> None:
        """`past`: the run with which an earlier process stopped, if it did."""
        self.settings, self.pool, self.producer = settings, pool, producer
        self.topics = topics_of(settings)
        self.share, self.stopped = FailureShare(settings.failure_share, past), past is not None

    async def prepare(self, batches: Batches) -> Prepared:
        prepared = Prepared(batches)
        for tp, records in batches.items():
            for first in range(0, len(records), SLICE):
                self._take(tp.topic, records[first : first + SLICE], prepared)
                await asyncio.sleep(0)
        return prepared

    def _take(self, topic: str, records: "list[ConsumerRecord[bytes, bytes]]", prepared: Prepared) -> None:
        if topic == self.topics.dead_letters.name:
            prepared.grave += records
            return
        for raw in records:
            try:
                if topic == self.topics.events.name:
                    prepared.add_of_log(raw, self.settings.partitions)
                else:
                    prepared.add_memory(raw)
            except Undecodable as error:
                prepared.failed.append(DeadLetter.of(raw, STAGE, str(error)))

    async def write(self, prepared: Prepared, expected: Offsets, reached: Offsets) -> None:
        """One transaction for one poll. Raises NotOwner, MostlyFailing, and psycopg.Error with nothing written."""
        async with self.pool.connection() as connection, connection.transaction():
            await progress.advance(connection, STAGE, expected, reached)
            failed = prepared.failed + await self._write_events(connection, prepared)
            self._require_most_good(prepared, failed)
            if self.stopped:
                await stops.clear(connection, STAGE)
            if prepared.served:
                await recalls.write(connection, prepared.served)
            if prepared.revisions:
                await memories.write(connection, prepared.revisions)
            if prepared.grave:
                await letters.write(connection, prepared.grave)
            if failed:  # before the commit: a crash in between repeats them under the same source
                await bury(self.producer, self.topics.dead_letters.name, failed)
        self.stopped = False

    def _require_most_good(self, prepared: Prepared, failed: list[DeadLetter]) -> None:
        """Raises MostlyFailing. Dead letters are no records of the log: each failure would bring one."""
        batch = Tally(sum(map(len, prepared.batches.values())) - len(prepared.grave), len(failed))
        if not self.share.admits(batch):
            reasons = [letter.reason for letter in failed]
            raise MostlyFailing(STAGE, self.share.limit, self.share.run, batch, reasons)

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
        if not refused:
            return []
        return [
            DeadLetter.of(raw, STAGE, UNKNOWN_ANIMA)
            for tp, records in prepared.batches.items()
            for raw in records
            if tp.topic == self.topics.events.name and (tp.partition, raw.offset) in refused
        ]


async def main(settings: Settings) -> None:
    topics = topics_of(settings)
    async with pool(settings) as rows, producer(settings) as kafka:
        await reach(rows)
        sink = Sink(settings, rows, kafka, await stops.load(rows, STAGE))
        names = [topics.events.name, topics.memories.name, topics.dead_letters.name]
        load = partial(progress.take_over, rows, STAGE)
        try:
            await Consumer(settings, STAGE, names, load, sink.prepare, sink.write, lull_s=LULL_S).run()
        except MostlyFailing as stopped:
            await stops.note(rows, STAGE, stopped)
            sys.exit(f"elephantasm: {stopped}")


def run(settings: Settings) -> None:
    run_loop(main(settings))
