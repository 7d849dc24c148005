"""sink: every topic into Postgres, rows and progress in one transaction."""

import sys
from functools import partial
from typing import Any

import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition

from sinks import events, letters, memories, progress, recalls, stops
from sinks.database import Pool, pool
from stack.settings import Settings
from streams.consumer import Batches, Consumer, run_loop
from streams.dead_letters import DeadLetter, bury
from streams.decode import Undecodable, decode, read
from streams.failure_share import FailureShare, MostlyFailing, Tally
from streams.kafka import producer, topics_of
from streams.records import Memory, Recall, Tick
from streams.redrive import redriven

STAGE = "sink"
UNKNOWN_ANIMA = "the key names no anima that is known, and ELEPHANTASM_STRICT_ANIMAS is set: create the anima first"


class Sink:
    def __init__(self, settings: Settings, pool: Pool, producer: AIOKafkaProducer, past: Tally | None) -> None:
        """`past`: the run with which an earlier process stopped, if it did."""
        self.settings, self.pool, self.producer = settings, pool, producer
        self.topics = topics_of(settings)
        self.share, self.stopped = FailureShare(settings.failure_share, past), past is not None

    async def handle(self, batches: Batches, expected: dict[TopicPartition, int]) -> None:
        """One transaction for one poll. Raises NotOwner, MostlyFailing, and psycopg.Error with nothing written."""
        buried: list[DeadLetter] = []
        arrivals, served = self._log(batches, buried)
        revisions = self._memories(batches, buried)
        async with self.pool.connection() as connection, connection.transaction():
            reached = {tp: records[-1].offset + 1 for tp, records in batches.items()}
            await progress.advance(connection, STAGE, expected, reached)
            buried += await self._write_events(connection, arrivals, batches)
            self._require_most_good(batches, buried)
            if self.stopped:
                await stops.clear(connection, STAGE)
            if served:
                await recalls.write(connection, served)
            if revisions:
                await memories.write(connection, revisions)
            if grave := self._of(batches, self.topics.dead_letters.name):
                await letters.write(connection, grave)
            if buried:  # before the commit: a crash in between repeats them under the same source
                await bury(self.producer, self.topics.dead_letters.name, buried)
        self.stopped = False

    def _of(self, batches: Batches, topic: str) -> "list[ConsumerRecord[bytes, bytes]]":
        return [raw for tp, records in batches.items() if tp.topic == topic for raw in records]

    def _require_most_good(self, batches: Batches, buried: list[DeadLetter]) -> None:
        """Raises MostlyFailing. Dead letters are no records of the log: each failure would bring one."""
        seen = sum(len(records) for tp, records in batches.items() if tp.topic != self.topics.dead_letters.name)
        batch = Tally(seen, len(buried))
        if not self.share.admits(batch):
            reasons = [letter.reason for letter in buried]
            raise MostlyFailing(STAGE, self.share.limit, self.share.run, batch, reasons)

    def _log(self, batches: Batches, buried: list[DeadLetter]) -> tuple[list[events.Arrival], list[recalls.Served]]:
        arrivals, served = [], []
        for tp, records in batches.items():
            if tp.topic != self.topics.events.name:
                continue
            for raw in records:
                try:
                    anima, record = decode(raw, self.settings.partitions)
                except Undecodable as error:
                    buried.append(DeadLetter.of(raw, STAGE, str(error)))
                    continue
                if anima is None or isinstance(record, Tick):
                    continue
                if isinstance(record, Recall):
                    served.append(recalls.Served(anima, raw.partition, raw.offset, raw.timestamp, record))
                else:
                    place, again = (raw.partition, raw.offset, raw.timestamp), redriven(raw)
                    arrivals.append(events.Arrival(anima, raw.key, *place, record, again and again.first))
        return arrivals, served

    def _memories(self, batches: Batches, buried: list[DeadLetter]) -> list[memories.Stored]:
        revisions = []
        for tp, records in batches.items():
            if tp.topic != self.topics.memories.name:
                continue
            for raw in records:
                try:
                    revisions.append((read(Memory, raw), raw.partition, raw.offset))
                except Undecodable as error:
                    buried.append(DeadLetter.of(raw, STAGE, str(error)))
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


async def main(settings: Settings) -> None:
    topics = topics_of(settings)
    async with pool(settings) as rows, producer(settings) as kafka:
        await rows.wait()
        sink = Sink(settings, rows, kafka, await stops.load(rows, STAGE))
        names = [topics.events.name, topics.memories.name, topics.dead_letters.name]
        try:
            await Consumer(settings, STAGE, names, partial(progress.load, rows, STAGE), sink.handle).run()
        except MostlyFailing as stopped:
            await stops.note(rows, STAGE, stopped)
            sys.exit(f"elephantasm: {stopped}")


def run(settings: Settings) -> None:
    run_loop(main(settings))
