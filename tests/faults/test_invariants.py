"""The auditor is audited: what it must find, it finds, and in a flawless run it finds nothing."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from stack.settings import Settings
from streams.kafka import partition_of
from streams.positions import Position, anima_of, event_id
from streams.records import Configure, Event
from tests.faults.expected import REFUSED, Expected, derive
from tests.faults.invariants import created, idle, promised, repeated, violations
from tests.faults.load import Batch, Promises
from tests.faults.money import Repeats, paid_twice, unrecorded
from tests.faults.provider import VALID_TOKENS, Billed, key
from tests.faults.rows import Stored
from tests.faults.strikes import Strike

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
        animas=[{"id": anima, "name": "wren", "events": len(expected.events)}],
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


def said(offset: int) -> tuple[bytes | None, bytes | None]:
    return KEY, log()[offset].value


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
    third = Position("elephantasm.events", HOME, 3)
    assert violations(EXPECTED, PERFECT, Promises(acknowledged={third: said(3)})) == []


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


def test_what_is_answered_to_be_first_is() -> None:
    topic, said = "elephantasm.events", event_id(anima_of(KEY), 0, 0, "same")
    assert found(PERFECT, Promises(firsts=[(said, Position(topic, HOME, 7))])) == set()
    assert found(PERFECT, Promises(firsts=[(said, Position(topic, HOME, 30))])) == {"wrong"}  # it was second
    unsaid = event_id(anima_of(KEY), 0, 0, "other")
    assert found(PERFECT, Promises(firsts=[(unsaid, Position(topic, HOME, 7))])) == {"wrong"}


def test_letters_that_stand_on_their_topic_twice_are_counted() -> None:
    letters = [
        SimpleNamespace(headers=(("source", source), ("stage", stage), ("reason", b"not JSON")))
        for source, stage in ((b"e/0/1", b"sink"), (b"e/0/2", b"sink"), (b"e/0/1", b"synthesize"), (b"e/0/1", b"sink"))
    ]
    assert repeated(letters) == 1


def batch(last: int, accepted: int, numbers: list[int], *ids: UUID) -> Promises:
    """Those of the numbers without a dedupe key, and the ids of the others."""
    alone = [number for number in numbers if number not in (7, 30)]
    return Promises(batches=[Batch(Position("elephantasm.events", HOME, last), accepted, numbers, alone, list(ids))])


SAME = event_id(anima_of(KEY), 0, 0, "same")


def test_a_batch_is_in_the_log_up_to_its_answer() -> None:
    assert found(PERFECT, batch(8, 3, [6, 7, 8], SAME)) == set()
    assert found(PERFECT, batch(7, 2, [6, 7], SAME)) == set()
    assert found(PERFECT, batch(7, 0, [30], SAME)) == set()  # it was left out: another event was first
    assert found(PERFECT, batch(30, 1, [30], SAME)) == set()  # it was appended though: the other came in between
    assert found(PERFECT, batch(8, 2, [6, 8, 70])) == {"lost"}
    assert found(PERFECT, batch(8, 2, [6, 8], STRANGER)) == {"lost"}
    assert found(PERFECT, batch(6, 1, [6, 8])) == {"wrong"}  # an event stands behind the answer
    assert found(PERFECT, batch(6, 1, [6], SAME)) == {"wrong"}
    assert found(PERFECT, batch(8, 2, [8, 6])) == {"wrong"}  # not in its order
    assert found(PERFECT, batch(9, 2, [6, 8])) == {"wrong"}  # the answer names the event of somebody else
    assert found(PERFECT, batch(8, 3, [6, 8])) == {"wrong"}  # fewer than were counted
    twice = replace(EXPECTED, numbers=EXPECTED.numbers | {6: [(HOME, 6), (HOME, 60)]})
    [violation] = violations(twice, PERFECT, batch(8, 2, [6, 8]))
    assert violation.sort == "duplicated"


def test_promises_are_kept() -> None:
    topic = "elephantasm.events"
    assert found(PERFECT, Promises(acknowledged={Position(topic, HOME, 99): said(3)})) == {"lost"}
    assert found(PERFECT, Promises(acknowledged={Position(topic, HOME, 3): said(4)})) == {"wrong"}
    assert found(PERFECT, Promises(stored={3: Position(topic, HOME, 3)})) == set()
    assert found(PERFECT, Promises(stored={3: Position(topic, HOME, 4)})) == {"lost"}
    assert found(PERFECT, Promises(broken=["500"])) == {"wrong"}


def test_what_must_be_refused_is_not_in_the_log() -> None:
    value = Event(event_type="message.in", content="no", session_id=REFUSED).value()
    [violation] = promised(derive([record(0, value)], SETTINGS), Promises())
    assert violation.sort == "wrong"


def test_an_anima_that_was_answered_is_there_once() -> None:
    anima, named = anima_of(KEY), Configure(name="wren").value()
    once, twice = derive([record(0, named)], SETTINGS), derive([record(0, named), record(1, named)], SETTINGS)

    def said(expected: Expected, name: str = "wren", answered: UUID = anima) -> list[str]:
        return [violation.sort for violation in created(expected, PERFECT, Promises(animas={answered: name}))]

    assert said(once) == []
    assert said(twice) == ["duplicated"]
    assert said(once, "robin") == ["wrong"]
    assert said(once, answered=STRANGER) == ["lost"]
    assert said(derive([record(0, Configure(name="robin").value())], SETTINGS)) == ["wrong"]


def test_what_is_posted_is_in_the_log_as_often_as_it_was_sent_at_most() -> None:
    assert found(PERFECT, Promises(attempts=Counter({3: 1, 70: 2}))) == set()
    twice = replace(EXPECTED, numbers=EXPECTED.numbers | {3: [(HOME, 3), (HOME, 60)]})
    [violation] = violations(twice, PERFECT, Promises(attempts=Counter({3: 1})))
    assert violation.sort == "duplicated"
    assert violations(twice, PERFECT, Promises(attempts=Counter({3: 2}))) == []
    thrice = replace(EXPECTED, numbers=EXPECTED.numbers | {3: [(HOME, 3), (HOME, 60), (HOME, 61)]})
    [violation] = violations(thrice, PERFECT, Promises(attempts=Counter({3: 2})))
    assert violation.sort == "duplicated"


def test_a_long_run_has_something_of_everything() -> None:
    assert idle({"windows": 3, "packs served": 1}) == []
    [violation] = idle({"windows": 3, "packs served": 0})
    assert violation == ("wrong", "nothing of 'packs served' in this run", None)


KEPT = START / 1000
CALL = {"call_id": "a" * 64, "input": ["said"], "input_tokens": VALID_TOKENS, "recorded_at": moment(START)}
ONCE = replace(PERFECT, calls=[CALL])
TIMEOUT_S = 4.0


def bill(asked: float, answered: float | None, over: float | None = None) -> Billed:
    """Of the call in the ledger, in seconds after the reply was recorded there."""
    sent = answered is not None
    return Billed(key(["said"]), KEPT + asked, answered and KEPT + answered, sent, over and KEPT + over)


def struck(at: float, program: str = "synthesize", seconds: float = 0.0) -> Strike:
    return Strike(program, KEPT + at, KEPT + at + seconds)


def audited(bills: list[Billed], *strikes: Strike, rows: Stored = ONCE, most: int = 8) -> tuple[list[str], Repeats]:
    violations, repeats = paid_twice(rows, bills, strikes, TIMEOUT_S, most)
    return [violation.sort for violation in violations], repeats


FIRST, AGAIN = bill(-20, -19), bill(-9, -8)


def test_a_call_asked_once_was_in_flight_if_it_was_not_recorded_yet() -> None:
    assert audited([FIRST]) == ([], Repeats())
    assert audited([FIRST], struck(-17)) == ([], Repeats(in_flight=1))
    assert audited([FIRST], struck(-30), struck(-16), struck(1)) == ([], Repeats())
    assert audited([FIRST], struck(-60, "kafka", 70)) == ([], Repeats(in_flight=1))
    assert audited([bill(-2, -1)], struck(0.7)) == ([], Repeats())  # it was in the ledger, sooner than it had to be
    assert audited([bill(-20, None, -19), AGAIN], struck(-18)) == ([], Repeats())  # it was answered with an error


def test_what_the_ledger_has_is_not_asked_again() -> None:
    assert audited([FIRST, bill(1, 2)], struck(-19.5), struck(1)) == (["paid twice"], Repeats(in_flight=1))
    assert audited([FIRST, bill(1, None, 2)]) == (["paid twice"], Repeats())


def test_the_ledger_counts_what_was_sent() -> None:
    twice, unsent = replace(PERFECT, calls=[CALL | {"input_tokens": 2 * VALID_TOKENS}]), replace(AGAIN, sent=False)
    assert audited([FIRST], rows=twice) == (["wrong"], Repeats())
    assert audited([FIRST, AGAIN], struck(-19.5), rows=twice)[0] == []
    assert audited([FIRST, unsent], struck(-19.5), rows=twice)[0] == ["wrong"]


@pytest.mark.parametrize(
    "strike",
    [struck(-19.5), struck(-17), struck(-20.1), struck(-19, "postgres"), struck(-60, "kafka", 41),
     struck(-17, "kafka", 1)],
)  # fmt: skip
def test_a_reply_may_be_lost_with_what_is_struck_on_its_way(strike: Strike) -> None:
    assert audited([FIRST, AGAIN], strike) == ([], Repeats(taken=1, in_flight=1))


@pytest.mark.parametrize(
    "strike",
    [struck(-22), struck(-16), struck(-10), struck(-7), struck(-19.5, "score"), struck(-10, "postgres"),
     struck(-60, "kafka", 30)],
)  # fmt: skip
def test_a_call_is_not_asked_again_for_nothing(strike: Strike) -> None:
    sorts, repeats = audited([FIRST, AGAIN], strike)
    assert sorts == ["paid twice"]
    assert repeats.taken == 0


def test_each_repeat_needs_a_strike_of_its_own() -> None:
    third = bill(-3, -2)
    assert audited([FIRST, AGAIN, third], struck(-19), struck(-8)) == ([], Repeats(taken=2, in_flight=2))
    assert audited([FIRST, AGAIN, third], struck(-19))[0] == ["paid twice"]
    assert audited([FIRST, AGAIN, third], struck(-19, "postgres", 30))[0] == ["paid twice"]
    assert audited([FIRST, AGAIN, third], struck(-19, "postgres", 30), struck(-19.5))[0] == []
    assert audited([FIRST, bill(-9, None, -8), third], struck(-19)) == ([], Repeats(taken=1, in_flight=1))


def test_a_strike_takes_no_more_than_can_be_on_its_way() -> None:
    calls = [replace(bill, key=name) for name in ("one", "other") for bill in (FIRST, AGAIN)]
    assert audited(calls, struck(-19), rows=PERFECT, most=2) == ([], Repeats(taken=2, in_flight=2))
    assert audited(calls, struck(-19), rows=PERFECT, most=1)[0] == ["paid twice"]


def test_a_strike_after_the_repeat_is_no_reason_for_it() -> None:
    sooner = bill(-18.5, -18)
    assert audited([FIRST, sooner], struck(-18.2))[0] == []
    assert audited([FIRST, sooner], struck(-17.4))[0] == ["paid twice"]


def test_a_stack_that_has_the_log_and_the_ledger_asks_nothing() -> None:
    assert unrecorded([]) == []
    [violation] = unrecorded([FIRST])
    assert violation.sort == "paid twice"
    assert FIRST.key[:12] in violation.what


def test_an_error_and_a_reply_that_comes_too_late_are_asked_again() -> None:
    assert audited([bill(-20, None, -19), AGAIN]) == ([], Repeats())
    assert audited([bill(-20, -15.9), AGAIN]) == ([], Repeats(late=1))
    assert audited([bill(-20, -17), AGAIN])[0] == ["paid twice"]


def test_a_reply_that_never_came_to_the_ledger_counts_too() -> None:
    assert audited([FIRST, AGAIN], rows=PERFECT)[0] == ["paid twice"]
