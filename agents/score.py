"""score: fold the log into per-anima accumulation and emit a trigger for each window that is due."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import faust
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import OutOfOrderSequenceNumber
from faust.types import TP

from agents.tokens import counter
from stack.settings import Settings
from streams.app import faust_app, run_worker, wire
from streams.batching import Row, send_rows
from streams.decode import decode
from streams.kafka import producer, topics_of
from streams.positions import window_id
from streams.records import SynthesisTrigger, Tick
from tables.accumulation import Fired, Rule, due
from tables.fold import Timers, fold
from tables.store import AccumulationTable, Mark, clock_at, kept

log = structlog.get_logger()
BATCHES = 16  # batches of the log in work at once
# Of one batch of the log. Each batch writes each anima that it touches once: behind, the larger, the fewer writes.
# RECORDS is more than the bytes allow: a poll that ends in the middle of a partition's fetch makes two batches of it.
RECORDS, FETCH_BYTES = 60_000, 4_194_304
BATCH_BYTES = 262_144  # of one Kafka batch of triggers or states
TOLD_S = 10.0  # by then a worker that was frozen knows what it has lost; less than the changelog's compaction lag


def rule_of(settings: Settings) -> Rule:
    """The weights of an anima that has none of its own."""
    return Rule(
        settings.time_weight, settings.event_weight, settings.token_weight, settings.threshold, settings.window_tokens
    )


def trigger(anima: UUID, partition: int, fired: Fired) -> SynthesisTrigger:
    """The record that asks for a window; its id is the same in every generation."""
    window = fired.window
    return SynthesisTrigger.model_construct(
        id=window_id(anima, partition, window.first_offset, window.last_offset),
        anima_id=anima,
        partition=partition,
        first_offset=window.first_offset,
        last_offset=window.last_offset,
        events=window.events,
        tokens=window.tokens,
        score=fired.score,
        threshold=fired.threshold,
        reason=fired.reason,
        fired_at=_moment(fired.at),
    )


def _row(anima: UUID, partition: int, fired: Fired) -> Row:
    return Row(str(anima).encode(), trigger(anima, partition, fired).value(), fired.at)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


class Score:
    """The shell. Per batch: send the triggers and await delivery, write each touched state once, then acknowledge."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self.app, self.settings, self.topics = app, settings, topics_of(settings)
        self.table = AccumulationTable(app, settings.partitions)
        self.rule = rule_of(settings)
        self.decode = partial(decode, partitions=settings.partitions)
        self.producer: AIOKafkaProducer | None = None
        self.timers: defaultdict[int, Timers] = defaultdict(Timers)
        self.reached: dict[int, int] = {}  # by partition: what follows on what was absorbed
        self.ticked: dict[int, int] = {}
        self.assignment = 0
        self.stopping = False
        self.last: dict[int, asyncio.Task[None]] = {}  # by partition: its batches are absorbed one after the other
        self.room = asyncio.Semaphore(BATCHES)
        self.table.table.on_recover(self.recovered)
        app.on_partitions_revoked.connect(self.revoked)
        app.on_before_shutdown.connect(self.stop)
        app.timer(0.1, name="ticks")(self.tick)
        app.timer(1.0, name="restate")(self.restate)

    async def recovered(self) -> None:
        """Timers live in memory; after a move they are read from the table again."""
        self.timers.clear()
        self.reached.clear()
        self.ticked.clear()
        for partition, anima, state in self.table.pending():
            at = due(state.window, state.rule(self.rule))
            if at is not None:
                self.timers[partition].put(anima, at)

    async def revoked(self, *_: Any, **__: Any) -> None:
        self.assignment += 1

    async def stop(self, *_: Any, **__: Any) -> None:
        """Batches in work are finished, those behind them are not begun; then Faust commits. It no longer tells of
        partitions that move meanwhile: such a late write is like that of a worker that was frozen.
        """
        self.stopping = True
        if self.last:
            await asyncio.wait(self.last.values())
        if self.producer is not None:
            await self.producer.stop()

    async def run(self, stream: Any) -> None:
        self.producer = producer(self.settings, max_batch_size=BATCH_BYTES)
        await self.producer.start()
        async for batch in stream.noack().events():
            assignment = self.assignment  # as the batch came: partitions may move while it waits for room
            await self.room.acquire()
            task = self._next(batch.message.tp.partition, partial(self.absorb, batch, assignment))
            task.add_done_callback(lambda _: self.room.release())

    def _next(self, partition: int, step: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
        """While one partition's triggers are on their way, the others' batches are folded."""
        task = self.last[partition] = asyncio.ensure_future(self._after(self.last.get(partition), partition, step))
        return task

    async def _after(
        self, previous: "asyncio.Task[None] | None", partition: int, step: Callable[[], Awaitable[None]]
    ) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        if self.stopping:
            return
        try:
            await step()
        except Exception:
            # Faust would restart the agent, whose next acknowledgement would cover this batch too: end the process.
            log.exception("triggers or states not written, stopping un-acknowledged", partition=partition)
            os._exit(70)

    async def absorb(self, batch: Any, assignment: int) -> None:
        """Nothing is sent, written or acknowledged for a partition that has moved since `assignment`: it may have
        another owner by now, whose state must not be overwritten.
        """
        if assignment != self.assignment:
            return
        tp: TP = batch.message.tp
        known = self.table.marks(tp.partition)
        folded = fold(
            batch.value,
            clock_at(batch.value[0].offset, known),
            self.table.load,
            self.timers[tp.partition],
            self.rule,
            self.decode,
            counter(),
        )
        triggers = [_row(anima, tp.partition, fired) for anima, fired in folded.fired]
        await self._deliver(self.topics.triggers.name, tp.partition, triggers)
        if assignment != self.assignment:
            return
        self.reached[tp.partition] = reached = batch.message.offset + 1
        marks = kept([*known, Mark(reached, folded.clock)], self.app.consumer.committed(tp))
        states = self.table.write(tp.partition, folded.states, marks)
        for anima, at in folded.waiting:
            self.timers[tp.partition].put(anima, at)
        await self._deliver_states(tp.partition, states)
        if assignment == self.assignment:
            batch.ack()

    async def _deliver(self, topic: str, partition: int, rows: list[Row]) -> list[range]:
        """Their offsets."""
        assert self.producer is not None
        return await asyncio.gather(*await send_rows(self.producer, topic, partition, rows))

    async def _deliver_states(self, partition: int, rows: list[Row]) -> None:
        self.table.delivered(partition, await self._deliver(self.topics.accumulation.name, partition, rows))

    async def restate(self) -> None:
        """Who finds records of another worker among its own on the changelog writes all states again: the last record
        of a key has to be right before compaction leaves only that. Not at once: it may be this worker that has lost
        the partition and is about to be told.
        """
        if self._moving():
            return
        for partition in self.table.doubted(time.monotonic() - TOLD_S):
            if TP(self.topics.events.name, partition) in self.app.consumer.assignment():
                log.warning(
                    "another worker may have written to the changelog, writing all states again", partition=partition
                )
                self._next(partition, partial(self._restate, partition, self.assignment))

    async def _restate(self, partition: int, assignment: int) -> None:
        if assignment != self.assignment or self._moving():
            self.table.doubt(partition)
            return
        await self._deliver_states(partition, self.table.everything(partition))

    def _moving(self) -> bool:
        """What is known of a partition may be half of it, or another worker's."""
        return bool(self.app.rebalancing or self.app.in_recovery)

    async def tick(self) -> None:
        """One tick if by now a window is due and no record has shown it; none while there is log left to read."""
        now = int(time.time() * 1000)
        for partition, timers in list(self.timers.items()):
            at = timers.next(self._due)
            if at is None or at > now or self.ticked.get(partition) == at:
                continue
            try:
                await self._tick(partition, at, now)
            except OutOfOrderSequenceNumber:
                # aiokafka counts records that the broker refused (this clock was ahead): it can write no others here.
                log.exception("ticks are out of order, stopping", partition=partition)
                os._exit(70)
            except Exception as error:  # noqa: BLE001  an exception in a Faust timer ends the worker; the next round tries again
                log.warning("tick not written", partition=partition, error=repr(error))

    def _due(self, anima: UUID) -> int | None:
        state = self.table.load(anima)
        return due(state.window, state.rule(self.rule))

    async def _tick(self, partition: int, at: int, now: int) -> None:
        tp, marks = TP(self.topics.events.name, partition), self.table.marks(partition)
        if self.producer is None or not marks or tp not in self.app.consumer.assignment():
            return
        if await self.app.consumer.at_end(tp, self.reached.get(partition, marks[-1].offset)):
            await self.producer.send_and_wait(
                tp.topic, Tick(kind="tick").value(), partition=partition, timestamp_ms=now
            )
            self.ticked[partition] = at


def build(settings: Settings) -> faust.App:
    app = faust_app(settings, "score")
    app.conf.broker_max_poll_records, app.conf.consumer_max_fetch_size = RECORDS, FETCH_BYTES
    wire(app, topics_of(settings).events, "score", Score(app, settings).run)
    return app


def run(settings: Settings) -> None:
    run_worker(build(settings), settings)
