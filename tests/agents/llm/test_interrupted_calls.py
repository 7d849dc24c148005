"""Calls whose process ends, freezes or loses its ledger: what was paid for is not lost, and not paid for again."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from agents.llm.calls import Calls, Payer
from agents.llm.errors import RetryLaterError
from agents.llm.ledger import Ledger
from agents.llm.synthesis import Synthesis
from tests.agents.llm.conftest import Provider
from tests.agents.llm.ledgers import Alone, MemoryLedger
from tests.agents.llm.shell import GOOD, INES, LIMITS, Clock, shell
from tests.agents.llm.wire import MEMORY, Answer, held, status


async def test_the_reply_is_in_the_ledger_before_the_caller_has_it(provider: Provider, clock: Clock) -> None:
    """The process dies between the reply and the return: the next one finds the reply."""
    provider.wire.will(provider.replies(GOOD))
    ledger = MemoryLedger()

    class DiesAfterPut(MemoryLedger):
        async def put(self, call_id: str, entry: Any, outdated: str | None = None) -> str | None:
            await ledger.put(call_id, entry, outdated)
            raise SystemError("killed")

    with pytest.raises(SystemError, match="killed"):
        await shell(provider.model, DiesAfterPut(), clock).complete(provider.call(), Payer(INES))
    reply = await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES))
    assert reply.recorded
    assert len(provider.wire.asked) == 1


async def test_a_paid_reply_waits_for_the_ledger_to_come_back(provider: Provider, clock: Clock) -> None:
    provider.wire.will(provider.replies(GOOD))
    outage = iter([True] * 6 + [False] * 9)

    def out_of_reach() -> None:
        if next(outage):
            raise RetryLaterError("the ledger is out of reach")

    ledger = MemoryLedger(before_put=out_of_reach)
    await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES))
    assert len(provider.wire.asked) == 1
    assert len(ledger.rows) == 1


async def test_a_cancelled_caller_does_not_cancel_the_request(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(provider.replies(GOOD))
    calls = shell(provider.model, ledger, clock)
    caller = asyncio.create_task(calls.complete(provider.call(), Payer(INES)))
    await provider.wire.arrived.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await calls.drain()
    assert await ledger.get(provider.call().id) is not None


async def ended_in_flight(calls: Calls, provider: Provider, answer: Answer) -> "asyncio.Task[Any]":
    """A call whose answer comes after the process was told to end."""
    gate = asyncio.Event()
    provider.wire.will(held(answer, gate), provider.replies(GOOD))
    asked = asyncio.create_task(calls.complete(provider.call(), Payer(INES)))
    await provider.wire.arrived.wait()
    draining = asyncio.create_task(calls.drain())
    await asyncio.sleep(0)
    gate.set()
    await draining
    return asked


async def test_a_process_about_to_end_waits_for_its_reply(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    asked = await ended_in_flight(shell(provider.model, ledger, clock), provider, provider.replies(GOOD))
    assert (await asked).value == Synthesis.model_validate(MEMORY)
    assert await ledger.get(provider.call().id) is not None


async def test_a_process_about_to_end_asks_for_nothing_more(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    calls = shell(provider.model, ledger, clock)
    with pytest.raises(RetryLaterError):
        await (await ended_in_flight(calls, provider, status(500)))
    with pytest.raises(RetryLaterError, match="about to end"):
        await calls.complete(provider.call("another"), Payer(INES))
    assert len(provider.wire.asked) == 1


async def test_a_rejected_reply_while_the_process_ends_condemns_nothing(
    provider: Provider, ledger: Ledger, clock: Clock
) -> None:
    calls = shell(provider.model, ledger, clock)
    with pytest.raises(RetryLaterError, match="about to end"):
        await (await ended_in_flight(calls, provider, provider.replies("nonsense")))
    assert await ledger.spent(INES, clock.now) == 120


async def test_what_waits_to_ask_again_does_not_delay_the_end(provider: Provider, ledger: Ledger) -> None:
    waiting = asyncio.Event()

    async def for_ever(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    provider.wire.will(status(429, headers={"retry-after": "60"}))
    calls = Calls(provider.model, ledger, Alone(), LIMITS, sleep=for_ever)
    asked = asyncio.create_task(calls.complete(provider.call(), Payer(INES)))
    await waiting.wait()
    await asyncio.wait_for(calls.drain(), 20)
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_what_another_worker_paid_for_meanwhile_is_not_asked_for_again(
    provider: Provider, ledger: Ledger, clock: Clock
) -> None:
    """It was answered while this worker paused between two attempts, the first of which was paid for in vain."""
    other = shell(provider.model, ledger, clock)

    async def meanwhile(seconds: float) -> None:
        await other.complete(provider.call(), Payer(INES))

    provider.wire.will(provider.replies("nonsense"), provider.replies(GOOD))
    calls = Calls(provider.model, ledger, Alone(), LIMITS, now=clock, sleep=meanwhile)
    reply = await calls.complete(provider.call(), Payer(INES))
    assert reply.recorded
    assert len(provider.wire.asked) == 2
    assert await ledger.spent(INES, clock.now) == 240


async def test_a_worker_that_wakes_with_a_reply_takes_the_one_that_was_recorded_meanwhile(
    provider: Provider, clock: Clock
) -> None:
    class Frozen(MemoryLedger):
        async def put(self, call_id: str, entry: Any, outdated: str | None = None) -> str | None:
            await ledger.put(call_id, replace(entry, reply=json.dumps(MEMORY | {"summary": "The other worker's"})))
            return await ledger.put(call_id, entry, outdated)

    ledger = MemoryLedger()
    provider.wire.will(provider.replies(GOOD))
    reply = await shell(provider.model, Frozen(), clock).complete(provider.call(), Payer(INES))
    assert reply.value.summary == json.loads(reply.raw)["summary"] == "The other worker's"


async def test_a_worker_that_wakes_after_its_turn_does_not_ask(provider: Provider, clock: Clock) -> None:
    class Freezes(MemoryLedger):
        async def get(self, call_id: str) -> Any:
            found = await super().get(call_id)
            time.sleep(0.2)  # noqa: ASYNC251  the whole process stands still
            return found

    frozen = shell(provider.model, Freezes(), clock, timeout_s=0.1)
    with pytest.raises(RetryLaterError):
        await frozen.complete(provider.call(), Payer(INES))
    assert provider.wire.asked == []
