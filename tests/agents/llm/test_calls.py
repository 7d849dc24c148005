"""The shell around a model: ledger, budget, slots, retries. The same on the ledger in memory and on PostgreSQL."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from agents.llm.calls import Payer
from agents.llm.errors import InvalidReplyError, OverBudgetError, RefusedError, RetryLaterError, WrongSettingError
from agents.llm.extractive import Extractive
from agents.llm.ledger import Ledger
from agents.llm.model import Call
from agents.llm.synthesis import Synthesis, synthesis_call
from tests.agents.llm.conftest import Event, Provider
from tests.agents.llm.ledgers import MemoryLedger
from tests.agents.llm.shell import GOOD, INES, Clock, shell
from tests.agents.llm.wire import MEMORY, status


async def test_the_second_equal_call_makes_no_request(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(provider.replies(GOOD))
    first = await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES, uuid4()))
    second = await shell(provider.model, ledger, clock).complete(provider.call(), Payer(uuid4()))
    assert len(provider.wire.asked) == 1
    assert second.value == first.value
    assert (first.recorded, second.recorded) == (False, True)
    assert (second.input_tokens, second.output_tokens) == (100, 20)


async def test_another_input_is_another_call(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(provider.replies(GOOD))
    calls = shell(provider.model, ledger, clock)
    await calls.complete(provider.call("one"), Payer(INES))
    await calls.complete(provider.call("two"), Payer(INES))
    assert len(provider.wire.asked) == 2


async def test_odd_characters_are_no_reason_to_lose_a_paid_reply(
    provider: Provider, ledger: Ledger, clock: Clock
) -> None:
    provider.wire.will(provider.replies(GOOD.replace("Lisbon.", r"Lisbon.\u0000")))
    call = provider.call("nul \x00 and its escape \\u0000, lone \ud83d surrogate, \\\x00")
    reply = await shell(provider.model, ledger, clock).complete(call, Payer(INES))
    assert reply.value == Synthesis.model_validate(MEMORY)
    assert await ledger.get(call.id) is not None


async def test_a_request_too_long_for_the_ledger_is_recorded_by_its_size(provider: Provider, clock: Clock) -> None:
    provider.wire.will(provider.replies(GOOD))
    ledger = MemoryLedger()
    await shell(provider.model, ledger, clock).complete(provider.call("x" * 70_000), Payer(INES))
    (row,) = ledger.rows.values()
    assert json.loads(row.request)["input_characters"] > 70_000


async def test_equal_calls_in_flight_share_one_request(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(provider.replies(GOOD))
    calls = shell(provider.model, ledger, clock)
    replies = await asyncio.gather(*(calls.complete(provider.call(), Payer(INES)) for _ in range(5)))
    assert len(provider.wire.asked) == 1
    assert {reply.value for reply in replies} == {Synthesis.model_validate(MEMORY)}


async def test_a_busy_server_is_waited_for_as_it_asks(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    busy = status(429, headers={"retry-after": "20"})
    provider.wire.will(busy, status(500), status(529), provider.replies(GOOD))
    reply = await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES))
    assert reply.attempts == 4
    first, second, third = clock.waits
    assert 20 <= first <= 21
    assert 0 <= second <= 2
    assert 0 <= third <= 4


async def test_attempts_are_bounded(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(status(503))
    with pytest.raises(RetryLaterError):
        await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES))
    assert len(provider.wire.asked) == 4
    assert await ledger.spent(INES, datetime.min.replace(tzinfo=UTC)) == 0


async def test_a_server_that_asks_for_an_hour_is_left_to_the_caller(provider: Provider, clock: Clock) -> None:
    provider.wire.will(status(429, headers={"retry-after": "3600"}))
    with pytest.raises(RetryLaterError) as raised:
        await shell(provider.model, MemoryLedger(), clock).complete(provider.call(), Payer(INES))
    assert (raised.value.retry_after_s, clock.waits) == (3600, [])


async def test_an_invalid_reply_is_asked_again_with_the_error(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(provider.replies('{"summary": "Ines moved."}'), provider.replies(GOOD))
    reply = await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES))
    last_turn = provider.wire.asked[1].body["messages"][-1]
    assert last_turn["role"] == "user"
    assert "content: Field required" in last_turn["content"]
    assert clock.waits == [0.0]
    assert (reply.attempts, reply.input_tokens, reply.output_tokens) == (2, 200, 40)


async def test_a_correction_has_the_same_key_in_the_ledger(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(provider.replies("nonsense"), provider.replies(GOOD))
    await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES))
    await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES))
    assert len(provider.wire.asked) == 2


async def test_replies_paid_in_vain_count_towards_the_budget(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(provider.replies("nonsense"))
    with pytest.raises(InvalidReplyError):
        await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES))
    assert len(provider.wire.asked) == 4
    assert await ledger.spent(INES, clock.now) == 4 * 120
    assert await ledger.get(provider.call().id) is None


async def test_what_was_paid_in_vain_is_added_to_the_reply_that_follows(
    provider: Provider, ledger: Ledger, clock: Clock
) -> None:
    provider.wire.will(provider.replies("nonsense"), provider.replies(GOOD))
    with pytest.raises(InvalidReplyError):
        await shell(provider.model, ledger, clock, attempts=1).complete(provider.call(), Payer(INES))
    await shell(provider.model, ledger, clock).complete(provider.call(), Payer(INES))
    recorded = await ledger.get(provider.call().id)
    assert recorded is not None
    assert (recorded.input_tokens, recorded.output_tokens, recorded.attempts) == (200, 40, 2)


@pytest.mark.parametrize(("code", "error"), [(401, WrongSettingError), (400, RefusedError)])
async def test_what_cannot_succeed_is_not_retried(
    provider: Provider, clock: Clock, code: int, error: type[Exception]
) -> None:
    provider.wire.will(status(code))
    with pytest.raises(error):
        await shell(provider.model, MemoryLedger(), clock).complete(provider.call(), Payer(INES))
    assert len(provider.wire.asked) == 1


async def test_over_budget_defers_without_a_request(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(provider.replies(GOOD))
    calls = shell(provider.model, ledger, clock, daily_tokens=120)
    await calls.complete(provider.call("one"), Payer(INES))
    with pytest.raises(OverBudgetError, match="120 of 120 tokens") as raised:
        await calls.complete(provider.call("two"), Payer(INES))
    assert raised.value.since == clock.now - timedelta(hours=24)
    assert len(provider.wire.asked) == 1

    await calls.complete(provider.call("two"), Payer(uuid4()))
    await calls.complete(provider.call("one"), Payer(INES))
    clock.now += timedelta(hours=24, seconds=1)
    await calls.complete(provider.call("three"), Payer(INES))
    assert len(provider.wire.asked) == 3, "another anima, a recorded call and the next day are not held back"


async def test_no_limit_is_no_limit(provider: Provider, ledger: Ledger, clock: Clock) -> None:
    provider.wire.will(provider.replies(GOOD))
    calls = shell(provider.model, ledger, clock, daily_tokens=0)
    for content in ("one", "two", "three"):
        await calls.complete(provider.call(content), Payer(INES))


@dataclass
class Held:
    """A model that answers when it is let go, and counts how many wait."""

    name: str = "test/held"
    metered: bool = True
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0

    async def complete(self, call: Call[Any]) -> Any:
        self.waiting += 1
        await self.gate.wait()
        raise RefusedError("let go")


async def test_no_more_calls_are_in_flight_than_there_are_slots(clock: Clock) -> None:
    model = Held()
    calls = shell(model, MemoryLedger(), clock)
    asked = [calls.complete(synthesis_call([Event(str(n))], model.name), Payer(INES)) for n in range(6)]
    together = asyncio.gather(*asked, return_exceptions=True)
    for _ in range(20):
        await asyncio.sleep(0)
    assert model.waiting == 2
    model.gate.set()
    assert [type(outcome) for outcome in await together] == [RefusedError] * 6


async def test_a_model_that_hangs_is_given_up(clock: Clock) -> None:
    model = Held()
    calls = shell(model, MemoryLedger(), clock, timeout_s=0.01, attempts=2)
    with pytest.raises(RetryLaterError, match=r"did not answer within 0.01 s"):
        await calls.complete(synthesis_call([Event("hi")], model.name), Payer(INES))
    assert model.waiting == 2


async def test_a_model_without_a_price_needs_no_ledger(clock: Clock) -> None:
    ledger = MemoryLedger()
    model = Extractive()
    calls = shell(model, ledger, clock, daily_tokens=1)
    for _ in range(2):
        await calls.complete(synthesis_call([Event("I moved to Lisbon.")], model.name), Payer(INES))
    assert ledger.rows == {}


async def test_a_call_meant_for_another_model_is_a_mistake(provider: Provider, clock: Clock) -> None:
    with pytest.raises(ValueError, match="a call for other/model was given to"):
        await shell(provider.model, MemoryLedger(), clock).complete(
            synthesis_call([Event("hi")], "other/model"), Payer(INES)
        )


async def test_a_recorded_reply_that_no_longer_fits_is_paid_for_again(
    provider: Provider, ledger: Ledger, clock: Clock
) -> None:
    class Stricter(Synthesis):
        topic: str

    provider.wire.will(provider.replies(GOOD), provider.replies(json.dumps({**MEMORY, "topic": "moving"})))
    calls = shell(provider.model, ledger, clock)
    await calls.complete(provider.call(), Payer(INES))
    call = provider.call()
    reply = await calls.complete(Call(call.prompt, call.input, Stricter, call.model), Payer(INES))
    assert reply.value.topic == "moving"
