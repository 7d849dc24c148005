"""What a ledger keeps: the same on the double and on PostgreSQL."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from agents.llm.errors import RetryLaterError
from agents.llm.ledger import Entry, Ledger, PostgresLedger, Recorded

INES = UUID("11111111-1111-4111-8111-111111111111")
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
ENTRY = Entry(
    id=uuid4(),
    anima_id=INES,
    trigger_id=uuid4(),
    prompt="synthesize.v1",
    prompt_hash="ab" * 32,
    model="openai/gpt-test",
    request=json.dumps({"input": ["one", "two"]}),
    reply='{"summary": "caf\u00e9 \\u0000", "odd": NaN}',
    problem=None,
    input_tokens=100,
    output_tokens=20,
    attempts=1,
    latency_s=0.5,
    created_at=NOON,
)


def another(**changes: Any) -> Entry:
    return replace(ENTRY, id=uuid4(), **changes)


def key(digit: str) -> str:
    return digit * 64


async def test_a_reply_comes_back_as_it_was_put(ledger: Ledger) -> None:
    await ledger.put(key("a"), ENTRY)
    assert ENTRY.reply is not None
    assert await ledger.get(key("a")) == Recorded(ENTRY.reply, 100, 20, 1, 0.5)
    assert await ledger.get(key("b")) is None


async def test_a_failure_is_no_reply_and_never_overwrites_one(ledger: Ledger) -> None:
    failed = another(reply=None, problem="content: Field required")
    await ledger.put(key("a"), failed)
    assert await ledger.get(key("a")) is None
    await ledger.put(key("a"), ENTRY)
    await ledger.put(key("a"), replace(failed, id=uuid4()))
    recorded = await ledger.get(key("a"))
    assert recorded is not None
    assert (recorded.reply, recorded.input_tokens, recorded.attempts) == (ENTRY.reply, 300, 3)


async def test_an_entry_that_is_put_again_counts_once(ledger: Ledger) -> None:
    """As when the connection broke in the commit."""
    for entry in (another(reply='{"summary": "first"}'), ENTRY, ENTRY):
        assert await ledger.put(key("a"), entry) == '{"summary": "first"}'
    assert await ledger.get(key("a")) == Recorded('{"summary": "first"}', 200, 40, 2, 1.0)


async def test_of_two_replies_the_first_is_kept_and_both_are_paid_for(ledger: Ledger) -> None:
    later = another(reply='{"summary": "later"}', created_at=NOON + timedelta(hours=1))
    assert await ledger.put(key("a"), ENTRY) == ENTRY.reply
    assert await ledger.put(key("a"), later) == ENTRY.reply
    recorded = await ledger.get(key("a"))
    assert recorded is not None
    assert (recorded.reply, recorded.input_tokens) == (ENTRY.reply, 200)
    assert await ledger.spent(INES, NOON + timedelta(minutes=1)) == 0  # the time stays that of the first reply


async def test_an_outdated_reply_gives_way_once(ledger: Ledger) -> None:
    stricter, other = (another(reply=f'{{"summary": "{text}"}}') for text in ("stricter", "other"))
    await ledger.put(key("a"), ENTRY)
    assert await ledger.put(key("a"), stricter, outdated=ENTRY.reply) == stricter.reply
    assert await ledger.put(key("a"), other, outdated=ENTRY.reply) == stricter.reply


async def test_spending_is_per_anima_and_since_a_moment(ledger: Ledger) -> None:
    await ledger.put(key("a"), ENTRY)
    await ledger.put(key("b"), another(created_at=NOON - timedelta(hours=25)))
    await ledger.put(key("c"), another(anima_id=uuid4()))
    await ledger.put(key("d"), another(reply=None, problem="empty", input_tokens=7, output_tokens=0))
    assert await ledger.spent(INES, NOON - timedelta(hours=24)) == 127
    assert await ledger.spent(uuid4(), NOON - timedelta(hours=24)) == 0


async def test_a_row_can_be_read_with_sql(ledger_database: str) -> None:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(ledger_database, open=False, min_size=1)
    async with pool:
        await PostgresLedger(pool).put(key("a"), ENTRY)
    with psycopg.connect(ledger_database) as connection:
        row = connection.execute(
            "SELECT model, trigger_id, created_at, jsonb_array_length(request -> 'input')  FROM llm_calls"
        ).fetchone()
    assert row == ("openai/gpt-test", ENTRY.trigger_id, NOON, 2)


async def test_the_database_says_since_when_it_has_the_reply(ledger_database: str) -> None:
    """A worker may be frozen between the reply and the ledger: its own clock says when it had paid, not more."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(ledger_database, open=False, min_size=1)
    times = []
    with psycopg.connect(ledger_database, autocommit=True) as connection:
        async with pool:
            for entry in (another(reply=None, problem="empty"), ENTRY, another(reply="{}")):
                await PostgresLedger(pool).put(key("a"), entry)
                row = connection.execute("SELECT recorded_at, clock_timestamp() FROM llm_calls").fetchone()
                assert row is not None
                times.append(row)
    (empty, _), (first, after), (second, _) = times
    assert empty < first < after
    assert second == first


async def test_a_database_that_is_away_is_to_be_tried_later() -> None:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        "host=127.0.0.1 port=9 dbname=none", open=False, min_size=0, max_size=1, timeout=0.2
    )
    async with pool:
        for attempt in (PostgresLedger(pool).get(key("a")), PostgresLedger(pool).put(key("a"), ENTRY)):
            with pytest.raises(RetryLaterError, match="out of reach"):
                await attempt
