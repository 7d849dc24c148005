"""The shell around a language model: every paid call goes through here.

ledger → budget → a free slot → attempts, each: turn → ledger → the request, with time-out → ledger → the caller. The
reply is in the ledger before anyone sees it, so a crash after that point costs nothing, and a replay finds it there.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, NamedTuple
from uuid import UUID, uuid4

from pydantic import ValidationError
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
)

from agents.llm.backoff import LONGEST_WAIT_S, Sleep, wait
from agents.llm.errors import InvalidReplyError, ModelError, OverBudgetError, RefusedError, RetryLaterError
from agents.llm.in_time import leave_by
from agents.llm.ledger import Entry, Ledger, Recorded
from agents.llm.model import Call, LanguageModel, Reply, T, readable
from agents.llm.turns import Turns
from stack.settings import Settings

BUDGET_PERIOD = timedelta(hours=24)
# What has been paid for is worth a few minutes of waiting for the database: 12 attempts, half a minute apart at most.
RECORD_ATTEMPTS = 12
ENDING = "this process is about to end"
# In characters. A longer request is recorded by its size.
LONGEST_REQUEST = 64_000

# An escape that is not itself the end of an escaped backslash.
_ESCAPED_NUL = re.compile(r"((?<!\\)(?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class Limits:
    """`daily_tokens` per anima and 24 hours, 0 for none; `attempts` of one call, invalid replies included."""

    concurrency: int
    attempts: int
    timeout_s: float
    daily_tokens: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(settings.llm_concurrency, settings.llm_attempts, settings.llm_timeout_s, settings.llm_daily_tokens)


class Payer(NamedTuple):
    """Whose budget pays, and for which window."""

    anima_id: UUID
    trigger_id: UUID | None = None


@dataclass(slots=True)
class _Tab(Generic[T]):
    """What a call has cost so far; `call` carries the last rejected reply, `outdated` is what the ledger has and no
    longer fits.
    """

    call: Call[T]
    call_id: str
    payer: Payer
    input_tokens: int = 0
    output_tokens: int = 0
    attempts: int = 0
    outdated: str | None = None
    started: float = field(default_factory=time.perf_counter)

    def add(self, paid: Reply[T] | InvalidReplyError | RefusedError) -> None:
        self.input_tokens += paid.input_tokens
        self.output_tokens += paid.output_tokens

    def reply(self, last: Reply[T]) -> Reply[T]:
        return replace(
            last,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            attempts=self.attempts,
            latency_s=time.perf_counter() - self.started,
        )


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Calls:
    """One per process. `now` and `sleep` are the clock and the waiting of retries."""

    def __init__(
        self,
        model: LanguageModel,
        ledger: Ledger,
        turns: Turns,
        limits: Limits,
        *,
        now: Callable[[], datetime] = _utc_now,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.model = model
        self._ledger = ledger
        self._turns = turns
        self._limits = limits
        self._now = now
        self._sleep = sleep
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._in_flight: dict[str, asyncio.Task[Any]] = {}
        self._asking: set[str] = set()
        self._draining = False

    async def complete(self, call: Call[T], payer: Payer) -> Reply[T]:
        """The reply to a call, paid for at most once: equal calls in flight share one request, answered ones come from
        the ledger. Cancelling the caller does not cancel the request. A model that is not metered is simply asked.

        Raises RetryLaterError, InvalidReplyError, RefusedError, OverBudgetError or WrongSettingError.
        """
        if call.model != self.model.name:
            raise ValueError(f"a call for {call.model} was given to {self.model.name}")
        if not self.model.metered:
            return await self.model.complete(call)
        call_id = call.id
        if call_id not in self._in_flight:
            if self._draining:
                raise RetryLaterError(ENDING)
            task = asyncio.create_task(self._answer(call_id, call, payer), name=f"llm call {call_id[:12]}")
            task.add_done_callback(partial(self._landed, call_id))
            self._in_flight[call_id] = task
        reply: Reply[T] = await asyncio.shield(self._in_flight[call_id])
        return reply

    async def drain(self) -> None:
        """For a process about to end. Nothing more is asked for, and what waits to ask is cancelled, its callers too.
        Returns when every request on its way is answered and recorded, or has failed.
        """
        self._draining = True
        for call_id, task in self._in_flight.items():
            if call_id not in self._asking:
                task.cancel()
        await asyncio.gather(*self._in_flight.values(), return_exceptions=True)

    def _landed(self, call_id: str, task: asyncio.Task[Any]) -> None:
        del self._in_flight[call_id]
        # Callers may all have been cancelled: look at the error, or asyncio reports it as never retrieved.
        if not task.cancelled():
            task.exception()

    async def _answer(self, call_id: str, call: Call[T], payer: Payer) -> Reply[T]:
        tab = _Tab(call, call_id, payer)
        reply = await self._recorded(tab)
        if reply is not None:
            return reply
        await self._check_budget(payer.anima_id)
        async with self._slots:
            return await self._pay(tab)

    async def _recorded(self, tab: _Tab[T]) -> Reply[T] | None:
        recorded = await self._ledger.get(tab.call_id)
        if recorded is None:
            return None
        reply = _replayed(tab.call, recorded)
        tab.outdated = None if reply else recorded.reply
        return reply

    async def _check_budget(self, anima_id: UUID) -> None:
        limit = self._limits.daily_tokens
        if not limit:
            return
        since = self._now() - BUDGET_PERIOD
        spent = await self._ledger.spent(anima_id, since)
        if spent >= limit:
            raise OverBudgetError(anima_id, spent=spent, limit=limit, since=since)

    async def _pay(self, tab: _Tab[T]) -> Reply[T]:
        try:
            retrying = self._retrying(self._enough, RetryLaterError, InvalidReplyError)
            reply: Reply[T] = await retrying(self._attempt, tab)
        except ModelError as error:
            await self._record_rejected(tab, str(error))
            if isinstance(error, InvalidReplyError) and tab.attempts < self._limits.attempts:
                raise RetryLaterError(ENDING) from error
            raise
        if reply.recorded:
            await self._record_rejected(tab, "another worker asked again")
        return reply

    def _enough(self, state: RetryCallState) -> bool:
        return self._draining or state.attempt_number >= self._limits.attempts

    async def _attempt(self, tab: _Tab[T]) -> Reply[T]:
        tab.attempts += 1
        async with self._turns.turn(tab.call_id):
            self._asking.add(tab.call_id)
            try:
                reply = await self._ask(tab)
                return reply if reply.recorded else await self._keep(tab, reply)
            finally:
                self._asking.discard(tab.call_id)

    async def _ask(self, tab: _Tab[T]) -> Reply[T]:
        """What another worker has paid for since, or else the model's reply. The time-out counts from the look into
        the ledger: a worker frozen in between does not ask when it comes to, long after its turn.
        """
        try:
            async with asyncio.timeout(self._limits.timeout_s) as limit:
                leave_by(limit.when())
                recorded = await self._recorded(tab)
                if recorded is not None:
                    return recorded
                reply = await self.model.complete(tab.call)
        except TimeoutError as error:
            raise RetryLaterError(f"{self.model.name} did not answer within {self._limits.timeout_s:g} s") from error
        except InvalidReplyError as error:
            tab.add(error)
            tab.call = tab.call.after(error.raw, str(error))
            raise
        except RefusedError as error:
            tab.add(error)
            raise
        tab.add(reply)
        return tab.reply(reply)

    async def _keep(self, tab: _Tab[T], reply: Reply[T]) -> Reply[T]:
        """What the ledger keeps: another worker that lost patience may have been recorded first."""
        kept = await self._record(tab, reply.raw, None)
        if kept is None or kept == reply.raw:
            return reply
        try:
            return replace(reply, value=tab.call.reply_type.model_validate_json(kept), raw=kept)
        except ValidationError:  # of a release with another type
            return reply

    async def _record_rejected(self, tab: _Tab[T], problem: str) -> None:
        """Rejected replies were paid for too: a call that always fails must not be free."""
        if tab.input_tokens or tab.output_tokens:
            await self._record(tab, None, problem)

    async def _record(self, tab: _Tab[T], reply: str | None, problem: str | None) -> str | None:
        entry = self._entry(tab, reply, problem)
        recording = self._retrying(stop_after_attempt(RECORD_ATTEMPTS), RetryLaterError)
        return await recording(self._ledger.put, tab.call_id, entry, tab.outdated)

    def _retrying(self, stop: Callable[[RetryCallState], bool], *errors: type[ModelError]) -> AsyncRetrying:
        return AsyncRetrying(
            stop=stop,
            wait=wait,
            retry=retry_if_exception(lambda error: isinstance(error, errors) and not _asks_for_too_much(error)),
            sleep=self._sleep,
            reraise=True,
        )

    def _entry(self, tab: _Tab[T], reply: str | None, problem: str | None) -> Entry:
        prompt = tab.call.prompt
        return Entry(
            id=uuid4(),
            anima_id=tab.payer.anima_id,
            trigger_id=tab.payer.trigger_id,
            prompt=f"{prompt.name}.v{prompt.version}",
            prompt_hash=prompt.hash,
            model=tab.call.model,
            request=_bounded_request(tab.call),
            reply=reply,
            problem=problem,
            input_tokens=tab.input_tokens,
            output_tokens=tab.output_tokens,
            attempts=tab.attempts,
            latency_s=time.perf_counter() - tab.started,
            created_at=self._now(),
        )


def _replayed(call: Call[T], recorded: Recorded) -> Reply[T] | None:
    """None if the reply type has become stricter since: then the call is paid for again."""
    try:
        value = call.reply_type.model_validate_json(recorded.reply)
    except ValidationError:
        return None
    paid = recorded._asdict()
    return Reply(value, paid.pop("reply"), **paid, recorded=True)


def _bounded_request(call: Call[Any]) -> str:
    """For people to look at, so it may lack the one character that jsonb refuses."""
    request = readable({"input": call.input, **call.prompt.parameters.model_dump(exclude={"purpose"})})
    if len(request) > LONGEST_REQUEST:
        return readable({"input_characters": len(request)})
    return _ESCAPED_NUL.sub(r"\1", request)


def _asks_for_too_much(error: BaseException) -> bool:
    """Then the patience is the caller's, who does not hold a slot meanwhile."""
    return isinstance(error, RetryLaterError) and (error.retry_after_s or 0) > LONGEST_WAIT_S
