"""The loop of every stage that is plain aiokafka: batches in, one handler, positions resumed from Postgres.

The truth about how far a stage has come is its row in `progress`, written with the rows. Kafka's committed offsets
follow it, for operators' lag tools; they are never read back.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from stack.settings import Settings
from streams.collector import spare_collector
from streams.kafka import connection, topics_of

log = structlog.get_logger()

Batches = dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]


class NotOwner(Exception):
    """Another worker has moved this partition's progress: drop the batch and ask Postgres where to go on."""


class Consumer:
    """Hands `handle(batches, expected)` what each poll brought; `expected` is the progress that must still hold."""

    def __init__(
        self,
        settings: Settings,
        stage: str,
        topics: list[str],
        load: Callable[[list[TopicPartition]], Awaitable[dict[TopicPartition, int]]],
        handle: Callable[[Batches, dict[TopicPartition, int]], Awaitable[None]],
        *,
        records: int = 5_000,
    ) -> None:
        self.load, self.handle, self.records = load, handle, records
        self.next: dict[TopicPartition, int] = {}
        self.epoch = 0  # counts the times that partitions were moved
        self.stopping = asyncio.Event()
        self.commits: asyncio.Task[None] | None = None
        self.committed: dict[TopicPartition, int] = {}
        group = topics_of(settings).group(stage)
        self.kafka = AIOKafkaConsumer(
            group_id=group,
            group_instance_id=f"{group}.{settings.worker}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=8_000,
            heartbeat_interval_ms=1_000,
            max_partition_fetch_bytes=4_000_000,
            fetch_max_wait_ms=100,
            **connection(settings),
        )
        self.topics = topics

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. The batch in hand is finished first."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stopping.set)
        await self.kafka.start()
        try:
            self.kafka.subscribe(self.topics, listener=_Resume(self))
            stopped = asyncio.ensure_future(self.stopping.wait())
            while not self.stopping.is_set():
                epoch = self.epoch
                poll = asyncio.ensure_future(self.kafka.getmany(timeout_ms=500, max_records=self.records))
                await asyncio.wait({poll, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not poll.done():
                    poll.cancel()
                    break
                if epoch != self.epoch:
                    self._return_to_positions(poll.result())
                elif batches := self._still_ours(poll.result()):
                    await self._process(batches)
                self._commit_soon()
        finally:
            await self._commit()
            await self.kafka.stop()

    async def resume(self, partitions: list[TopicPartition]) -> None:
        """Go on where Postgres says."""
        positions = await self.load(partitions)
        self.epoch += 1
        self.committed = {}
        for partition in partitions:
            self.next[partition] = positions.get(partition, 0)
            self.kafka.seek(partition, self.next[partition])

    def _return_to_positions(self, batches: Batches) -> None:
        """Partitions moved while these were fetched: they may begin behind what has to come next, so none is used."""
        for partition in batches:
            if partition in self.next:
                self.kafka.seek(partition, self.next[partition])

    def _still_ours(self, batches: Batches) -> Batches:
        """Records from before a seek have offsets below the position and are dropped."""
        kept = {
            tp: [r for r in records if r.offset >= self.next.get(tp, r.offset + 1)] for tp, records in batches.items()
        }
        return {tp: records for tp, records in kept.items() if records}

    async def _process(self, batches: Batches) -> None:
        expected = {tp: self.next[tp] for tp in batches}
        try:
            await self.handle(batches, expected)
        except NotOwner as error:
            log.warning("progress moved by another worker", reason=str(error))
            await self.resume([tp for tp in batches if tp in self.kafka.assignment()])
            return
        for tp, records in batches.items():
            if self.next.get(tp) == expected[tp]:
                self.next[tp] = records[-1].offset + 1

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

    def _ours(self) -> dict[TopicPartition, int]:
        return {tp: offset for tp, offset in self.next.items() if tp in self.kafka.assignment()}


class _Resume(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        for partition in revoked:
            self.consumer.next.pop(partition, None)

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        await self.consumer.resume(list(assigned))


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a stage's coroutine on uvloop until it returns."""
    spare_collector()
    import uvloop

    uvloop.run(main)
