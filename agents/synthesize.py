"""synthesize: a trigger becomes a memory. Claim the window, read its events, ask the model, send the revision."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

import faust
import structlog
from aiokafka import AIOKafkaProducer
from faust.types import TP

from agents.llm.calls import Calls, Limits, Payer
from agents.llm.errors import InvalidReplyError, OverBudgetError, RefusedError, RetryLaterError
from agents.llm.ledger import PostgresLedger
from agents.llm.model import Call
from agents.llm.provider import provider
from agents.llm.synthesis import Synthesis, synthesis_call
from agents.llm.turns import PostgresTurns
from agents.ordered_pool import OrderedPool
from sinks import progress, stops, windows
from sinks.database import Pool, dsn, pool, reach
from stack.settings import Settings
from streams.app import faust_app, run_worker, wire
from streams.consumer import AWAY, PAUSE_S
from streams.dead_letters import DeadLetter, bury
from streams.decode import Undecodable, read
from streams.failure_share import FailureShare, MostlyFailing, Tally
from streams.kafka import producer, topics_of
from streams.positions import Position, window_id
from streams.records import Memory, MemoryLink, SynthesisTrigger

log = structlog.get_logger()
STAGE = "synthesize"
SINK_S = 60.0
QUOTED = 4.0  # an event that the memory quotes weighs so many times one that it does not


def memory(
    trigger: SynthesisTrigger,
    window: windows.Claim,
    events: Sequence[windows.WindowEvent],
    call: Call[Synthesis],
    written: Synthesis,
    generation: int,
) -> Memory:
    """The first revision of a memory: a function of the window and of what the model wrote. Pure."""
    return Memory(
        id=uuid5(_identity(trigger, window), "memory"),
        revision=1,
        generation=generation,
        anima_id=trigger.anima_id,
        trigger=trigger,
        first_offset=window.first_offset,
        last_offset=window.last_offset,
        summary=written.summary,
        content=written.content,
        importance=written.importance,
        confidence=written.confidence,
        started_at=min(event.occurred_at for event in events),
        ended_at=max(event.occurred_at for event in events),
        # Known from the moment that the log says, not from whenever the model answered, so that replays agree.
        recorded_at=trigger.fired_at,
        model=call.model,
        prompt_name=f"{call.prompt.name}.v{call.prompt.version}",
        prompt_hash=call.prompt.hash,
        links=links(events, written.content),
    )


def _identity(trigger: SynthesisTrigger, window: windows.Claim) -> UUID:
    return window_id(trigger.anima_id, trigger.partition, window.first_offset, window.last_offset)


def links(events: Sequence[windows.WindowEvent], content: str) -> tuple[MemoryLink, ...]:
    """Every event of the window, by how much the memory rests on it; the weights sum to 1."""
    weights = [QUOTED if _quoted(event.content, content) else 1.0 for event in events]
    return tuple(
        MemoryLink(event_id=event.id, seq=event.seq, weight=weight / sum(weights))
        for event, weight in zip(events, weights, strict=True)
    )


def _quoted(said: str, content: str) -> bool:
    return any(len(line) >= 12 and line.split(": ", 1)[-1] in said for line in content.splitlines())


class Synthesize:
    """The shell. What cannot be synthesised goes to the dead letters; what can be later is waited for, in order."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self.app, self.settings, self.topics = app, settings, topics_of(settings)
        self.pool: Pool = pool(settings, size=8)
        self.producer: AIOKafkaProducer | None = None
        self.turns = PostgresTurns(dsn(settings), 2 * settings.llm_timeout_s)
        self.calls = Calls(provider(settings), PostgresLedger(self.pool), self.turns, Limits.of(settings))
        # Replies on their way are paid for: they reach the ledger before the process ends.
        self.ordered = OrderedPool(self.work, settings.llm_concurrency, parting=self.calls.drain)
        self.share, self.stopped = FailureShare(settings.failure_share), False

    async def run(self, stream: Any) -> None:
        await self.pool.open()
        await reach(self.pool)
        past = await stops.load(self.pool, STAGE)
        self.share, self.stopped = FailureShare(self.settings.failure_share, past), past is not None
        self.producer = producer(self.settings)
        await self.producer.start()
        await self.ordered.run(stream)

    async def stop(self, *_: Any, **__: Any) -> None:
        await self.ordered.stop()
        if self.producer is not None:
            await self.producer.stop()
        await self.turns.aclose()
        await self.pool.close()

    async def work(self, raw: Any) -> None:
        """Again from the start after Postgres was away: the claim and the ledger know what was done."""
        while True:
            try:
                return await self._work(raw)
            except AWAY as error:
                log.warning("to be done again", reason=str(error).strip())
                await asyncio.sleep(PAUSE_S)
                await reach(self.pool)

    async def _work(self, raw: Any) -> None:
        assert self.producer is not None
        try:
            trigger = read(SynthesisTrigger, raw)
            made = await self._memory(trigger)
        except (Undecodable, InvalidReplyError, RefusedError) as error:
            await self._require_most_good(str(error))
            await bury(self.producer, self.topics.dead_letters.name, [DeadLetter.of(raw, STAGE, str(error))])
            return
        await self._require_most_good(None)
        if made is not None:
            await self.producer.send_and_wait(
                self.topics.memories.name,
                key=str(made.anima_id).encode(),
                value=made.value(),
                partition=raw.partition,
                timestamp_ms=int(made.recorded_at.timestamp() * 1000),
            )

    async def _require_most_good(self, problem: str | None) -> None:
        """Counts one trigger. Raises MostlyFailing, which ends the process with the trigger unacknowledged."""
        batch = Tally(1, 0 if problem is None else 1)
        if not self.share.admits(batch):
            stopped = MostlyFailing(STAGE, self.share.limit, self.share.run, batch, [problem or ""])
            await stops.note(self.pool, STAGE, stopped)
            await self.calls.drain()
            raise stopped
        if self.stopped:
            async with self.pool.connection() as connection:
                await stops.clear(connection, STAGE)
            self.stopped = False

    async def _memory(self, trigger: SynthesisTrigger) -> Memory | None:
        """None if earlier windows hold all of it."""
        window = await self._claim(trigger)
        if window is None:
            return None
        events = await windows.window_events(self.pool, trigger.anima_id, window)
        call = synthesis_call(events, self.calls.model.name)
        written = await self._complete(call, Payer(trigger.anima_id, trigger.id))
        return memory(trigger, window, events, call, written, self.settings.generation)

    async def _claim(self, trigger: SynthesisTrigger) -> windows.Claim | None:
        """Once the sink has written the window's events. If events before them are in no window, the sink has to have
        written the memories that were sent, too: a database that was restored or emptied knows from them alone what is
        claimed.
        """
        await self._passed(Position(self.topics.events.name, trigger.partition, trigger.last_offset))
        try:
            return await windows.claim(self.pool, self.settings.generation, trigger)
        except windows.Gap as gap:
            log.warning("claims are missing", anima=str(trigger.anima_id), reason=str(gap))
        tp = TP(self.topics.memories.name, trigger.partition)
        end = (await self.app.consumer.highwaters(tp))[tp]
        await self._passed(Position(tp.topic, tp.partition, end - 1))
        return await windows.claim(self.pool, self.settings.generation, trigger, gap=True)

    async def _passed(self, position: Position) -> None:
        limit_s = 1.0  # the first time, so that the log soon says what is waited for
        while True:
            try:
                return await progress.wait(self.pool, "sink", position, limit_s)
            except progress.NotYet as error:
                log.warning("waiting for the sink", reason=str(error))
                limit_s = SINK_S

    async def _complete(self, call: Call[Synthesis], payer: Payer) -> Synthesis:
        """Waits out what passes: later windows of the anima must not overtake this one. A budget that is spent is its
        alone, a provider that is busy is everyone's.
        """
        pause = 1.0
        while True:
            try:
                return (await self.calls.complete(call, payer)).value
            except (RetryLaterError, OverBudgetError) as error:
                log.warning("synthesis waits", anima=str(payer.anima_id), reason=str(error), seconds=pause)
                wait = self.ordered.aside if isinstance(error, OverBudgetError) else asyncio.sleep
            await wait(pause)
            pause = min(2 * pause, 60.0)


def build(settings: Settings) -> faust.App:
    app = faust_app(settings, STAGE)
    step = Synthesize(app, settings)
    app.on_partitions_revoked.connect(step.ordered.revoked)
    app.on_before_shutdown.connect(step.stop)
    wire(app, step.topics.triggers, STAGE, step.run)
    return app


def run(settings: Settings) -> None:
    run_worker(build(settings), settings)
