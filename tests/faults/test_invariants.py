"""The auditor is audited: what it must find, it finds, and in a flawless run it finds nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from stack.settings import Settings
from streams.kafka import partition_of
from streams.positions import Position
from streams.records import Event
from tests.faults.expected import Expected, derive
from tests.faults.invariants import paid_twice, violations
from tests.faults.load import Promises
from tests.faults.provider import VALID_TOKENS, Billed, key
from tests.faults.rows import Stored

SETTINGS = Settings(_env_file=None, token_weight=0.0)
KEY, START = b"wren", 1_700_000_000_000
HOME = partition_of(KEY, SETTINGS.partitions)


def record(offset: int, value: bytes) -> Any:
    at = {"partition": HOME, "offset": offset, "timestamp": START + offset}
    return SimpleNamespace(topic="elephantasm.events", key=KEY, value=value, headers=(), **at)


def log() -> list[Any]:
    """50 events, of which one repeats a dedupe key, and one record that nobody can read."""
    events = [
        Event(
            event_type="message.in",
            content=f"said {n}",
            dedupe_key="same" if n in (7, 30) else None,
            meta={"number": n},
        )
        for n in range(50)
    ]
    records = [record(offset, event.value()) for offset, event in enumerate(events)]
    return [*records, record(50, b"not JSON")]


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def flawless(expected: Expected) -> Stored:
    """The rows that a run without faults leaves."""
    anima = next(iter(expected.events.values())).anima
    windows = list(expected.windows.values())
    return Stored(
        events=[
            {"id": e.id, "anima_id": e.anima, "seq": e.seq, "partition": e.partition, "offset": e.offset,
             "content": e.content, "recorded_at": moment(e.recorded_ms)} for e in expected.events.values()
        ],
        animas=[{"id": anima, "events": len(expected.events)}],
        letters=[
            {"topic": "elephantasm.events", "partition": at[0], "offset": at[1], "stage": "sink", "key": key,
             "value": value, "recorded_at": moment(START)} for at, (key, value) in expected.letters.items()
        ],
        windows=[
            {"anima_id": w.anima, "partition": w.partition, "first_offset": w.first_offset,
             "last_offset": w.last_offset, "first_seq": w.first_seq, "last_seq": w.last_seq, "trigger_id": w.trigger}
            for w in windows
        ],
        memories=[
            {"id": w.memory, "anima_id": w.anima, "seq": seq, "recorded_at": moment(START),
             "trigger": expected.triggers[w.trigger].model_dump(mode="json")} for seq, w in enumerate(windows)
        ],
        links=[
            {"memory_id": w.memory, "seqs": list(range(w.first_seq, w.last_seq + 1)), "weight": 1.0} for w in windows
        ],
        documents={(anima, 0, e.seq) for e in expected.events.values()} | {(anima, 1, n) for n in range(len(windows))},
        vectors=[(anima, 0, e.seq) for e in expected.events.values()] + [(anima, 1, n) for n in range(len(windows))],
        packs=[], calls=[], dangling={"events of no anima": 0},
    )  # fmt: skip


EXPECTED = derive(log(), SETTINGS)
PERFECT = flawless(EXPECTED)


def found(rows: Stored, promises: Promises | None = None) -> set[str]:
    return {violation.sort for violation in violations(EXPECTED, rows, promises or Promises())}


def with_rows(name: str, rows: Any) -> Stored:
    chosen: dict[str, Any] = {name: rows}
    return replace(PERFECT, **chosen)


def without(name: str, number: int = 0) -> Stored:
    rows = list(getattr(PERFECT, name))
    del rows[number]
    return with_rows(name, set(rows) if name == "documents" else rows)


def twice(name: str) -> Stored:
    rows = list(getattr(PERFECT, name))
    return with_rows(name, [*rows, rows[0]])


def changed(name: str, **values: Any) -> Stored:
    rows = list(getattr(PERFECT, name))
    return with_rows(name, [rows[0] | values, *rows[1:]])


def test_the_log_makes_what_it_should() -> None:
    assert len(EXPECTED.events) == 49
    assert [(w.first_seq, w.last_seq) for w in EXPECTED.windows.values()] == [(0, 19), (20, 38)]  # a repeat counts
    assert list(EXPECTED.letters) == [(HOME, 50)]


def test_a_flawless_run_has_no_violations() -> None:
    assert violations(EXPECTED, PERFECT, Promises(acknowledged=[Position("elephantasm.events", HOME, 3)])) == []


@pytest.mark.parametrize("name", ["events", "letters", "windows", "memories", "links", "documents", "vectors"])
def test_what_is_missing_is_found(name: str) -> None:
    assert found(without(name)) & {"lost", "wrong"}
    if name != "links":
        assert "lost" in found(without(name))


@pytest.mark.parametrize("name", ["events", "letters", "memories", "vectors"])
def test_what_is_there_twice_is_found(name: str) -> None:
    assert "duplicated" in found(twice(name))


STRANGER = UUID(int=7)
WRONG: dict[str, Callable[[], Stored]] = {
    "an event's ordinal": lambda: changed("events", seq=5),
    "an event's position": lambda: changed("events", offset=99),
    "an event's content": lambda: changed("events", content="never said"),
    "an anima's count": lambda: changed("animas", events=3),
    "a letter's bytes": lambda: changed("letters", value=b"other"),
    "a letter of a good record": lambda: changed("letters", offset=3),
    "a window's end": lambda: changed("windows", last_seq=18),
    "a window's trigger": lambda: changed("windows", trigger_id=STRANGER),
    "a memory's trigger": lambda: changed("memories", trigger={}),
    "a memory's links": lambda: changed("links", seqs=[0, 1]),
    "a memory's weights": lambda: changed("links", weight=0.5),
    "a row that points nowhere": lambda: replace(PERFECT, dangling={"events of no anima": 1}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(name: str) -> None:
    assert "wrong" in found(WRONG[name]())


def test_rows_of_nothing_are_found() -> None:
    stray = PERFECT.events[0] | {"id": STRANGER}
    assert found(replace(PERFECT, events=[*PERFECT.events, stray])) == {"duplicated"}
    assert found(replace(PERFECT, memories=[*PERFECT.memories, PERFECT.memories[0] | {"id": STRANGER}])) == {
        "duplicated"
    }
    assert found(replace(PERFECT, windows=[*PERFECT.windows, PERFECT.windows[0] | {"last_offset": 5}])) == {
        "duplicated"
    }
    assert found(replace(PERFECT, packs=[{"partition": HOME, "offset": 1}])) == {"duplicated"}


def test_promises_are_kept() -> None:
    topic = "elephantasm.events"
    assert found(PERFECT, Promises(acknowledged=[Position(topic, HOME, 99)])) == {"lost"}
    assert found(PERFECT, Promises(stored={3: Position(topic, HOME, 3)})) == set()
    assert found(PERFECT, Promises(stored={3: Position(topic, HOME, 4)})) == {"lost"}
    assert found(PERFECT, Promises(unknown={3})) == set()
    assert found(PERFECT, Promises(broken=["500"])) == {"wrong"}
    twice = replace(EXPECTED, numbers=EXPECTED.numbers | {3: [(HOME, 3), (HOME, 60)]})
    [violation] = violations(twice, PERFECT, Promises(stored={3: Position(topic, HOME, 3)}))
    assert violation.sort == "duplicated"
    assert violations(twice, PERFECT, Promises(stored={3: Position(topic, HOME, 3)}, keyed={3})) == []


def test_money_is_counted() -> None:
    call = {"call_id": "a" * 64, "input": ["said"], "input_tokens": VALID_TOKENS, "recorded_at": moment(START)}
    kept_at, asked, none = START / 1000, key(["said"]), key("nothing")
    once = replace(PERFECT, calls=[call])
    first = [Billed(asked, kept_at - 2, kept_at - 1), Billed(none, kept_at, None)]
    assert paid_twice(once, first) == ([], 0)
    assert paid_twice(once, [*first, Billed(asked, kept_at - 1, kept_at + 1)]) == ([], 1)  # it froze on its way
    [violation], _ = paid_twice(once, [*first, Billed(asked, kept_at + 1, kept_at + 2)])
    assert violation.sort == "paid twice"
    [violation], _ = paid_twice(replace(PERFECT, calls=[call | {"input_tokens": 2 * VALID_TOKENS}]), first)
    assert violation.sort == "wrong"
