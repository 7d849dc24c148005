"""Arrivals become dense rows; the rule is pure, and Postgres holds what it says."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sinks.database import Pool
from sinks.events import ANIMA, COLUMNS, ID, OFFSET, AnimaRow, apply, without_strangers
from streams.positions import anima_of, event_hex
from streams.records import Configure, Event
from tests.sinks.conftest import AT_MS, WREN, Arrival, arrival, arrivals_of, write_events

KEYS = (b"wren", b"robin", b"finch")


SEQ = COLUMNS.index("seq")


def identity(one: Arrival) -> str:
    assert isinstance(one.record, Event)
    return event_hex(anima_of(one.key).bytes, one.partition, one.offset, one.record.dedupe_key)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    found = []
    for offset in range(draw(st.integers(0, 25))):
        key, dedupe = draw(st.sampled_from(KEYS)), draw(st.none() | st.sampled_from(["a", "b"]))
        record = Event(event_type="m", content=str(offset), dedupe_key=dedupe)
        found.append(arrival(offset, Configure(name="n") if draw(st.integers(0, 9)) == 0 else record, key))
    return found


@given(arrivals(), st.integers(0, 25))
def test_seq_is_dense_and_in_log_order_however_the_log_is_cut(log: list[Arrival], edge: int) -> None:
    animas: dict[str, AnimaRow] = {}
    stored: set[str] = set()
    rows = apply(arrivals_of(log[:edge]), animas, stored) + apply(arrivals_of(log[edge:]), animas, stored)
    for key in KEYS:
        mine = [row for row in rows if row[ANIMA] == anima_of(key).hex]
        assert [row[SEQ] for row in mine] == list(range(len(mine)))
        assert [row[OFFSET] for row in mine] == sorted(row[OFFSET] for row in mine)
        assert not mine or animas[anima_of(key).hex].events == len(mine)
    assert len({row[ID] for row in rows}) == len(rows)
    assert {row[ID] for row in rows} == {identity(one) for one in log if isinstance(one.record, Event)}


@given(arrivals())
def test_strangers_are_the_events_before_a_configuration(log: list[Arrival]) -> None:
    strange, kept, configured = set(), [], set[bytes | None]([b"robin"])
    for one in log:
        if isinstance(one.record, Configure):
            configured.add(one.key)
        if one.key in configured:
            kept.append(one)
        else:
            strange.add((one.partition, one.offset))
    accepted, refused = without_strangers(arrivals_of(log), {anima_of(b"robin").hex})
    assert (accepted.entries, refused) == (arrivals_of(kept).entries, strange)


async def test_a_repeat_by_its_dedupe_key_is_one_row(rows: Pool) -> None:
    ordered = Event(event_type="m", content="ordered", dedupe_key="order-7")
    await write_events(rows, [arrival(0, ordered), arrival(1), arrival(2, ordered)])
    await write_events(rows, [arrival(3, ordered), arrival(4), arrival(5, ordered, b"robin")])
    async with rows.connection() as connection:
        cursor = await connection.execute('SELECT anima_id, seq, "offset" FROM events ORDER BY "offset"')
        found = [tuple(row.values()) for row in await cursor.fetchall()]
    assert found == [(WREN, 0, 0), (WREN, 1, 1), (WREN, 2, 4), (anima_of(b"robin"), 0, 5)]


async def test_a_row_holds_what_the_record_said(rows: Pool) -> None:
    said = Event.model_validate(
        {
            "event_type": "tool.call",
            "content": "a\tb\\N\nc",
            "role": "tool",
            "author": "Ines",
            "session_id": "s",
            "occurred_at": "2020-02-29T12:00:00+02:00",
            "meta": {"a": [1, None, "\\"]},
            "source_uri": "https://x",
            "dedupe_key": "d",
            "importance_score": 0.25,
        }
    )
    await write_events(rows, [arrival(7, said)])
    async with rows.connection() as connection:
        row = await (await connection.execute("SELECT * FROM events")).fetchone()
    assert row is not None
    assert Event.model_validate(row) == said.model_copy(update={"anima_id": WREN})
    assert (row["id"].hex, row["partition"], row["offset"]) == (identity(arrival(7, said)), 1, 7)
    assert row["recorded_at"].timestamp() * 1000 == AT_MS + 7


async def test_a_time_before_1970_is_kept_as_1970(rows: Pool) -> None:
    await write_events(rows, [replace(arrival(0), timestamp=-(2**62))])
    async with rows.connection() as connection:
        row = await (
            await connection.execute("SELECT extract(epoch FROM recorded_at)::int AS at FROM events")
        ).fetchone()
    assert row == {"at": 0}


async def test_a_configuration_registers_and_changes_an_anima(rows: Pool) -> None:
    weights = {"time_weight": 2.0, "event_weight": 1.0, "token_weight": 0.0, "threshold": 5.0}
    await write_events(rows, [arrival(0, Configure(name="Wren", description="a bird")), arrival(1)])
    await write_events(rows, [arrival(2, Configure.model_validate({"weights": weights, "description": None}))])
    async with rows.connection() as connection:
        row = await (await connection.execute("SELECT key, name, description, weights, events FROM animas")).fetchone()
    assert row == {"key": "wren", "name": "Wren", "description": None, "weights": weights, "events": 1}
