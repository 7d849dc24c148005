"""Faust's consumer, made lossless, handing over whole batches: an event = one poll's records of one partition.

Faust 0.15.3 skips events when partitions move (docs/decisions/0003-lossless-consumer.md has the evidence):
after a table recovery it resumes the source partitions first and only then seeks them to the committed offsets, while
the fetch loop runs. A batch fetched in between comes from a stale position; the loop records the distance as a gap,
counts it as acknowledged, and drops what is fetched again below it. A partition without a commit is not sought at all.

The cure: a batch belongs to the epoch in which it was fetched, and counts if that epoch was sought; flow stops during
the seek; the seek waits for the fetch in flight, and is verified; a partition without a commit starts at its beginning;
bookkeeping starts afresh. And because Faust's cost is per event, a batch is the event: the agent folds it, writes each
touched key once, acknowledges once.
"""

import asyncio
import os
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import faust
import structlog
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from streams.client_tasks import require_alive
from streams.lull import Lull
from streams.memory import collect

log = structlog.get_logger()
POLL_S = 0.2  # for a poll: a seek waits until it has returned
FETCH_WAIT_MS = 100  # in the broker: until then a partition that is sought cannot be asked for
END_S = 5.0  # for the last commits
AHEAD = 64_000_000  # bytes of records that wait to be acknowledged: of short ones a second's work
RECORD_BYTES = 500  # what a record takes besides its value
AHEAD_S = 0.01
RECOVERY_RECORDS = 2_000  # for a poll


class Batch(faust.Schema):  # type: ignore[misc]  # Faust has no types
    """A topic's schema that leaves decoding to the agent or the table: the value is the list of aiokafka records."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> None:
        return None

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        return message.value


class Handed(NamedTuple):
    """A batch that the stream has got: its last offset, and the memory that it takes, in bytes."""

    last: int
    size: int


class BatchConsumer(driver.Consumer):  # type: ignore[misc]  # Faust has no types
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epoch = 0  # counts the times that the flow was stopped
        self.batch_epoch = 0  # the epoch in which the batch at hand was asked for
        self.sought = -1  # the last epoch for which the source's partitions were sought
        self.idle = asyncio.Event()  # set while no fetch is in flight
        self.idle.set()
        self.handed: defaultdict[TP, deque[Handed]] = defaultdict(deque)  # and not yet committed, in order
        self.newest: dict[TP, int] = {}  # last offset of the newest batch handed over since the last seek
        self.lull = Lull()
        self.durable: dict[TP, int] = {}  # what the broker has confirmed; Faust notes a commit that failed as well

    def _new_consumer_thread(self) -> "BatchThread":
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    def committed(self, tp: TP) -> int:
        """Where reading goes on after a crash: never beyond what the broker has confirmed."""
        return self.durable.get(tp, 0)

    async def at_end(self, tp: TP, absorbed: int) -> bool:
        """Whether an agent that has absorbed everything below `absorbed` has seen all of the partition, as of the last
        fetch. The position counts, not the last record: what ends a transaction has an offset and is no record."""
        end = self.highwater(tp)
        if end is None or self.newest.get(tp, -1) >= absorbed:
            return False
        return bool((await self.position(tp) or 0) >= end)

    def stop_flow(self) -> None:
        self.epoch += 1
        super().stop_flow()

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109  Faust's signature
        self.idle.clear()
        self.batch_epoch = self.epoch
        try:
            return await super()._getmany(active_partitions, timeout)
        finally:
            self.idle.set()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  Faust's signature
        await self.lull.end()
        # During a recovery the changelog is read on: what was handed over before is never acknowledged.
        if self.sought == self.epoch and self._unacknowledged() >= AHEAD:
            await asyncio.sleep(AHEAD_S)
            return
        fetched, active = await self._wait_next_records(min(timeout, POLL_S))
        records = fetched or {}
        self.lull.after(records, self)
        for topic_partition, batch in records.items():
            tp = TP(topic_partition.topic, topic_partition.partition)
            if self.batch_epoch != self.epoch or self.should_stop:
                return
            if active is not None and tp not in active:
                continue
            # Recovery resumes the source's partitions before it has them sought. From then on a fetch that waits for
            # the changelog returns their records, too.
            if self._is_source(tp) and self.sought != self.epoch:
                continue
            yield tp, self._batch_message(tp, batch)

    def _batch_message(self, tp: TP, batch: list[Any]) -> Any:
        """One message for a poll's records of a partition: of the log for the agent, of a changelog for its table."""
        message = self._to_message(tp, batch[-1])
        message.value = batch
        if self._is_source(tp):
            self._read_offset[tp] = self.newest[tp] = message.offset
            values = sum(record.serialized_value_size for record in batch)
            self.handed[tp].append(Handed(message.offset, values + RECORD_BYTES * len(batch)))
        return message

    def _unacknowledged(self) -> int:
        """Bytes handed over: Faust itself would read on until 4,096 batches wait."""
        return sum(
            one.size for tp, handed in self.handed.items() for one in handed if one.last not in self._acked_index[tp]
        )

    def _new_offset(self, tp: TP) -> int | None:
        """The commit point: just past the longest prefix of handed-over batches that are all acknowledged."""
        acked, handed = self._acked_index[tp], self.handed[tp]
        new = None
        while handed and handed[0].last in acked:
            new = handed.popleft().last
            acked.discard(new)
        self._acked[tp][:] = acked
        return None if new is None else new + 1

    async def _commit(self, offsets: Any) -> bool:
        done = bool(await super()._commit(offsets))
        if done:
            self.durable.update(offsets)
        return done

    async def on_stop(self) -> None:
        with suppress(TimeoutError):  # aiokafka tries for as long as Kafka is away
            async with asyncio.timeout(END_S):
                await self.maybe_wait_for_commit_to_finish()  # or Faust leaves out the last commit
                await super().on_stop()

    async def seek_wait(self, partitions: Any) -> None:
        # Recovery rewinds the changelogs. A fetch still in flight from before the flow was stopped asks for whatever is
        # active when it returns: it would take their first records along, to be dropped as stale, and recovery would
        # wait for them for ever or, worse, end without them.
        await self.idle.wait()
        await self._thread.fetch_ahead(partitions, True)
        await super().seek_wait(partitions)

    async def perform_seek(self) -> None:
        self.stop_flow()  # the recovery calls resume_flow() right after this returns
        epoch = self.epoch
        await self.idle.wait()
        self._committed_offset.clear()
        await super().perform_seek()
        self.durable = {
            tp: offset for tp in self.assignment() if (offset := self._committed_offset.get(tp)) is not None
        }
        await self._start_at_beginning(
            tp for tp in self.assignment() if self._committed_offset.get(tp) is None and self._is_source(tp)
        )
        await self._thread.fetch_ahead((tp for tp in self.assignment() if not self._is_source(tp)), False)
        await self._require_log()
        await self._require_positions(epoch)
        self.sought = epoch
        for bookkeeping in (self._acked, self._acked_index, self._gap, self.handed, self.newest):
            bookkeeping.clear()
        collect()

    async def _require_log(self) -> None:
        """Kafka begins a partition anew that does not reach to where it is sought. What is written there from now on
        would pass for what was absorbed already.
        """
        committed = {tp: offset for tp, offset in self.durable.items() if self._is_source(tp)}
        ends = await self.highwaters(*committed) if committed else {}
        for tp, offset in committed.items():
            if ends[tp] < offset:
                log.error("the log has lost its end, stopping", partition=tp, committed=offset, end=ends[tp])
                os._exit(70)

    async def _require_positions(self, epoch: int) -> None:
        for tp, offset in self.durable.items():
            if not self._is_source(tp):
                continue
            found = await self.position(tp)
            if found != offset and epoch == self.epoch:  # or it has moved again
                log.error("sought in vain, stopping un-acknowledged", partition=tp, committed=offset, position=found)
                os._exit(70)

    def _is_source(self, tp: TP) -> bool:
        return not tp.topic.endswith("-changelog")

    async def _start_at_beginning(self, fresh: Iterable[TP]) -> None:
        partitions = list(fresh)
        if partitions:
            await self._thread.seek_to_beginning(*map(driver.ensure_aiokafka_TP, partitions))
        for tp in partitions:
            self._read_offset.pop(tp, None)


class BatchThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust has no types
    @Service.task  # type: ignore[untyped-decorator]
    async def _check_coordination(self) -> None:
        """aiokafka tells whoever polls through it that its part in the group has failed, and waits until then. Faust
        polls past it: the worker would live on without partitions for ever."""
        while not self.should_stop:
            try:
                require_alive(self._consumer)
            except Exception:
                log.exception("no longer in the group, stopping un-acknowledged")
                os._exit(70)
            await self.sleep(1.0)

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float,  # noqa: ASYNC109  Faust's signature
        max_records: int,
    ) -> Any:
        # Of a large poll of a changelog a few states stay, spread over all the memory that its records took.
        recovers = self.consumer.sought != self.consumer.epoch
        most = min(max_records, RECOVERY_RECORDS) if recovers else max_records
        return await super()._fetch_records(consumer, active_partitions, timeout, most)

    async def fetch_ahead(self, partitions: Iterable[TP], wanted: bool) -> None:
        """aiokafka fetches partitions that Faust does not ask for, a changelog after its recovery, and keeps what
        comes: up to `consumer_max_fetch_size` of each.
        """
        await self.call_thread(self._fetch_ahead, [*map(driver.ensure_aiokafka_TP, partitions)], wanted)

    async def _fetch_ahead(self, partitions: list[TopicPartition], wanted: bool) -> None:
        consumer = self._ensure_consumer()
        for tp in partitions:
            if wanted:
                consumer.resume(tp)
            else:
                consumer.pause(tp)
                consumer._fetcher._records.pop(tp, None)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # Faust says 1,500, and has no setting
        return consumer


class BatchTransport(driver.Transport):  # type: ignore[misc]  # Faust has no types
    Consumer = BatchConsumer
