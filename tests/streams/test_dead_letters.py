"""Letters and decisions survive the way over the topic; redriven records say whose they are."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.dead_letters import outgoing
from streams.dead_letters import DeadLetter, Decision, NotOurs, Verdict, read
from streams.kafka import partition_of
from streams.positions import Position
from streams.redrive import Attempt, redriven

LOG = "elephantasm.events"
positions = st.builds(Position, st.just(LOG), st.integers(0, 999), st.integers(0, 10**18 - 1))
texts = st.text(st.characters(codec="utf-8"), max_size=300)
names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)
times = st.integers(-(10**12), 4 * 10**12)
letters = st.builds(
    DeadLetter, positions, names, texts, st.none() | st.binary(), st.none() | st.binary(), times,
    st.integers(1, 2**31 - 1), st.none() | positions, times,
)  # fmt: skip


def record(headers: Any, topic: str = LOG, **fields: Any) -> Any:
    given: dict[str, Any] = {"partition": 3, "offset": 7, "timestamp": 0, "key": None, "value": None}
    return SimpleNamespace(**given | fields, topic=topic, headers=tuple(headers))


@given(letters)
def test_a_letter_is_read_as_it_was_written(letter: DeadLetter) -> None:
    raw = record(letter.headers(), key=letter.key, value=letter.value, timestamp=letter.failed_ms)
    assert read(raw) == letter


@given(st.builds(Decision, positions, names, st.sampled_from(Verdict), texts, texts, times))
def test_a_decision_is_read_as_it_was_written(decision: Decision) -> None:
    found = read(record(decision.headers(), timestamp=decision.timestamp_ms))
    assert found == decision
    assert isinstance(found, Decision)
    letter = DeadLetter(decision.source, decision.stage, "r", None, None, 0)
    assert found.letter == letter.id


@given(st.lists(st.tuples(st.sampled_from(["source", "stage", "reason", "decision", "attempts", "x"]), st.binary())))
def test_anything_else_is_not_ours(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(NotOurs):
        read(record(headers))


def test_ids_do_not_change() -> None:
    letter = DeadLetter(Position(LOG, 3, 1042), "sink", "r", None, None, 0)
    assert letter.id == UUID("03189eb9-0c7a-5428-8348-4cc0b6f0b3eb")


@given(letters)
def test_what_is_redriven_names_its_first_place_and_fails_under_the_same_name(letter: DeadLetter) -> None:
    sent = outgoing(letter, LOG, 8)
    assert (sent.key, sent.value, sent.timestamp_ms) == (letter.key, letter.value, letter.timestamp_ms)
    raw = record(sent.headers, key=sent.key, value=sent.value)
    if letter.attempts + 1 < 2**31:
        first = letter.first or letter.source
        assert redriven(raw) == Attempt(first, letter.attempts + 1)
        again = DeadLetter.of(raw, letter.stage, "still")
        assert (again.first, again.attempts) == (first, letter.attempts + 1)
        assert again.source == Position(LOG, 3, 7)


def test_on_the_log_it_goes_where_its_key_belongs_elsewhere_where_it_stood() -> None:
    home = partition_of(b"wren", 8)
    astray = DeadLetter(Position(LOG, (home + 1) % 8, 5), "sink", "r", b"wren", b"x", 0)
    assert outgoing(astray, LOG, 8).partition == home
    for keyless in (None, b""):
        assert outgoing(DeadLetter(Position(LOG, 6, 5), "sink", "r", keyless, b"x", 0), LOG, 8).partition == 6
    derived = DeadLetter(Position("elephantasm.g1.triggers", 6, 5), "synthesize", "r", b"wren", b"x", 0)
    assert outgoing(derived, LOG, 8).partition == 6


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"redrive-of": b"elephantasm.events/3/1"},
        {"attempts": b"2"},
        {"redrive-of": b"elephantasm.events/3/1", "attempts": b"1"},
        {"redrive-of": b"elephantasm.events/3/1", "attempts": b"2147483648"},
        {"redrive-of": b"elephantasm.events/3/1", "attempts": b"two"},
        {"redrive-of": b"other.events/3/1", "attempts": b"2"},
        {"redrive-of": b"\xff", "attempts": b"2"},
        {"redrive-of": None, "attempts": b"2"},
        {"traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    ],
)
def test_headers_that_are_not_ours_count_for_nothing(headers: dict[str, bytes | None]) -> None:
    assert redriven(record(headers.items())) is None
