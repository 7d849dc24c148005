"""The loop of every stage that is plain aiokafka: batches in, prepared, written; positions resumed from Postgres.

The truth about how far a stage has come is its row in `progress`, written with the rows. Kafka's committed offsets
follow it, for operators' lag tools; they are never read back.
"""

import asyncio
import signal
import sys
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from operator import attrgetter
from typing import Any, Generic, TypeVar

import psycopg
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from stack.settings import Settings
from streams.client_tasks import require_alive
from streams.kafka import connection, topics_of
from streams.lull import LULL_S, Lull
from streams.memory import collect, spare_memory

log = structlog.get_logger()

Batches = dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]
Offsets = dict[TopicPartition, int]
Prepared = TypeVar("Prepared")
PAUSE_S = 1.0  # between two attempts, while Postgres is away
IDLE_S = 5.0  # after so long Postgres is asked whether it still stands where it did: it may have been restored
# What is raised then, or of a transaction that it has ended: its worker was frozen, or waited for Kafka meanwhile.
AWAY = (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout)
DAYS_MS = 10**9  # twelve
END_S = 5.0  # for the last commit


class LogLost(Exception):
    """The log is shorter than what was read of it: the way out is not ours to choose."""

    def __init__(self, partition: str, end: int, known: int) -> None:
        super().__init__(
            f"{partition} ends at offset {end:,}, but {known:,} of its records are in Postgres: the broker has lost "
            "the end of its log. Restore it, or empty the database: that is then built anew from what the log holds"
        )


class NotOwner(Exception):
    """Another worker has moved this partition's progress: drop the batch and ask Postgres where to go on."""


class Consumer(Generic[Prepared]):
    """Makes `prepare(batches)` of what each poll brought, and has `write(prepared, expected, reached)` write that.

    `expected` is the progress that must still hold, `reached` what it becomes. Batches are written one after the other
    in their order. While one is written the next is prepared, and no more than these two are held. What was prepared
    may be thrown away, so `prepare` changes nothing; both run on one loop, so it lets the other run now and then. While
    Postgres is away they fail, and are asked again from where it stands. Of a log that is read to its end a batch is
    polled every `lull_s` seconds. A `write` that waits for anything else raises CancelledError once `stopping` is set.
    """

    def __init__(
        self,
        settings: Settings,
        stage: str,
        topics: list[str],
        load: Callable[[list[TopicPartition]], Awaitable[Offsets]],
        prepare: Callable[[Batches], Awaitable[Prepared]],
        write: Callable[[Prepared, Offsets, Offsets], Coroutine[Any, Any, None]],
        *,
        records: int = 10_000,
        lull_s: float = LULL_S,
        stopping: asyncio.Event | None = None,
    ) -> None:
        self.load, self.prepare, self.write, self.records = load, prepare, write, records
        self.next: Offsets = {}  # what follows on what was written, of each partition whose progress is known
        self.sure = 0.0  # when it was last known, in monotonic seconds
        self.moving = False  # the group is: what it has taken, aiokafka still counts as assigned
        self.writing: asyncio.Task[None] | None = None
        self.lull = Lull(lull_s)
        self.stopping = stopping or asyncio.Event()
        self.commits: asyncio.Task[None] | None = None
        self.committed: Offsets = {}
        group = topics_of(settings).group(stage)
        self.kafka = AIOKafkaConsumer(
            group_id=group,
            group_instance_id=f"{group}.{settings.worker}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=8_000,
            heartbeat_interval_ms=1_000,
            max_poll_interval_ms=DAYS_MS,  # a batch waits as long as the sink, Postgres or a provider takes
            max_partition_fetch_bytes=4_000_000,
            fetch_max_wait_ms=100,
            **connection(settings),
        )
        self.topics = topics

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. The batch that is being written is finished first."""
        await self.kafka.start()  # until then a signal ends the process: there is nothing to finish
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stopping.set)
        self.kafka.subscribe(self.topics, listener=_Forget(self))
        following = asyncio.ensure_future(self._follow())
        stopped = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stopping.set()
            following.cancel()
            await asyncio.wait({following} if self.writing is None else {following, self.writing})
            with suppress(TimeoutError):  # aiokafka tries for as long as Kafka is away
                async with asyncio.timeout(END_S):
                    await self._commit()
            with suppress(asyncio.CancelledError):  # of a fetch of its own, which it cancels and awaits
                await self.kafka.stop()
        with suppress(*AWAY, asyncio.CancelledError):  # what was not written will be read again
            await self._written()
        if not following.cancelled():
            following.result()

    async def _follow(self) -> None:
        while not self.stopping.is_set():
            try:
                await self._step()
            except AWAY as error:
                log.warning("going back to where Postgres stands", reason=str(error).strip())
                self.next.clear()
                await asyncio.sleep(PAUSE_S)

    async def _step(self) -> None:
        """Polls and prepares one batch while the one before it is written."""
        await self._resume()
        batches = self._still_ours(await self._poll())
        if batches:
            prepared = await self.prepare(batches)
        await self._written()
        if batches.keys() - self.next.keys():  # some have moved meanwhile
            self._forget(batches)
        elif batches:
            expected = {tp: self.next[tp] for tp in batches}
            reached = {tp: records[-1].offset + 1 for tp, records in batches.items()}
            self.writing = asyncio.ensure_future(self._write(prepared, expected, reached))
        elif time.monotonic() - self.sure > IDLE_S:
            await self._compare()
        self._commit_soon()

    async def _poll(self) -> Batches:
        await self.lull.end()
        require_alive(self.kafka)
        polled: Batches = await self.kafka.getmany(timeout_ms=500, max_records=self.records)
        self.lull.after(polled, self.kafka)
        await self._require_log(polled)
        return polled

    async def _require_log(self, polled: Batches) -> None:
        """Raises LogLost where Kafka begins a partition anew because it does not reach to where it was asked for. What
        is written there from now on would pass for what was dealt with already.
        """
        doubtful = [tp for tp in polled if tp in self.next and (self.kafka.highwater(tp) or 0) < self.next[tp]]
        ends = await self.kafka.end_offsets(doubtful) if doubtful else {}
        for tp, end in ends.items():
            if end < self.next.get(tp, 0):
                raise LogLost(f"{tp.topic}/{tp.partition}", end, self.next[tp])

    async def _written(self) -> None:
        """Until nothing is being written. Raises what stopped the last write."""
        if self.writing is not None:
            await asyncio.wait({self.writing})  # a batch that is being written is finished, whoever gives up waiting
            writing, self.writing = self.writing, None
            writing.result()

    async def _resume(self) -> None:
        """Go on where Postgres says, with partitions that have come and with those whose progress is in doubt."""
        unknown = self._assigned() - self.next.keys()
        if not unknown:
            return
        await self._written()
        positions = await self.load(list(unknown))
        self.sure, self.committed = time.monotonic(), {}
        for partition in unknown & self._assigned():
            self.next[partition] = positions.get(partition, 0)
            self.kafka.seek(partition, self.next[partition])
        collect()
        self._commit_soon()  # a restored database stands further back, and the first batch may take its time

    async def _compare(self) -> None:
        """An idle stage writes nothing, and so would not notice that it has to begin anew."""
        known = dict(self.next)
        positions = await self.load(list(known))
        self.sure = time.monotonic()
        self._forget([tp for tp, offset in known.items() if positions.get(tp, 0) != offset])

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        """They may begin elsewhere than what was polled of them: Postgres is asked."""
        for partition in partitions:
            self.next.pop(partition, None)

    def _still_ours(self, batches: Batches) -> Batches:
        """Records from before a seek have offsets below the position and are dropped."""
        kept = {
            tp: records[bisect_left(records, self.next[tp], key=attrgetter("offset")) :]
            for tp, records in batches.items()
            if tp in self.next
        }
        return {tp: records for tp, records in kept.items() if records}

    async def _write(self, prepared: Prepared, expected: Offsets, reached: Offsets) -> None:
        try:
            await self.write(prepared, expected, reached)
        except NotOwner as error:
            log.warning("progress moved by another worker", reason=str(error))
            self._forget(expected)
            return
        self.sure = time.monotonic()
        for tp in expected:
            if self.next.get(tp) == expected[tp]:
                self.next[tp] = reached[tp]
        self._commit_soon()

    def _commit_soon(self) -> None:
        if self._ours() != self.committed and (self.commits is None or self.commits.done()):
            self.commits = asyncio.ensure_future(self._commit())

    async def _commit(self) -> None:
        """Until Kafka has what Postgres has: batches may finish while an earlier commit is on its way."""
        try:
            while (ours := self._ours()) and ours != self.committed:  # aiokafka refuses to commit nothing
                await self.kafka.commit(ours)
                self.committed = ours
        except (CommitFailedError, IllegalStateError) as error:
            log.info("offsets not committed, the group is moving", reason=repr(error))
        except KafkaError as error:
            log.warning("offsets not committed", reason=repr(error))

    def _ours(self) -> Offsets:
        assigned = self._assigned()
        return {tp: offset for tp, offset in self.next.items() if tp in assigned}

    def _assigned(self) -> set[TopicPartition]:
        """None while the group moves. A commit sent then waits in the broker behind the request to join, is of an old
        generation when its turn comes, and has aiokafka join once more: two workers can do so for minutes.
        """
        return set() if self.moving else self.kafka.assignment()


class _Forget(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Nothing that can fail: aiokafka would log it, and this worker go on without."""

    def __init__(self, consumer: Consumer[Any]) -> None:
        self.consumer = consumer

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        self.consumer.moving = True
        self.consumer._forget(revoked)

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self.consumer.moving = False
        self.consumer._forget(assigned)


def run_loop(main: Coroutine[Any, Any, None], *, computes: bool = False) -> None:
    """Run a stage's coroutine on uvloop until it returns; see `spare_memory`."""
    spare_memory(computes=computes)
    import uvloop

    try:
        uvloop.run(main)
    except LogLost as error:
        sys.exit(f"elephantasm: {error}")
