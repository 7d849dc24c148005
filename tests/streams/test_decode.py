"""Bytes become a record or Undecodable, and nothing else."""

import json
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.decode import Undecodable, decode, read
from streams.positions import anima_of
from streams.records import Configure, Event, Memory, Recall, SynthesisTrigger, Tick
from tests.streams.poison import GOOD, OWN_ID, PARTITIONS, POISON, WREN, Poison


class Raw(NamedTuple):
    key: bytes | None
    value: bytes | None
    partition: int = 0
    offset: int = 0
    timestamp: int = 0


def home(value: bytes | None, key: bytes | None = WREN) -> Any:
    """A record where its key belongs."""
    return Raw(key, value, Poison("", key=key).stands_in)


@pytest.mark.parametrize("name", POISON)
def test_poison_is_refused_with_its_reason(name: str) -> None:
    poison = POISON[name]
    raw: Any = Raw(poison.key, poison.value, poison.stands_in)
    with pytest.raises(Undecodable) as refused:
        decode(raw, PARTITIONS)
    assert poison.reason in str(refused.value)
    assert len(str(refused.value)) < 2_000


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
known = st.sampled_from(
    [
        "kind",
        "schema_version",
        "anima_id",
        "event_type",
        "content",
        "occurred_at",
        "meta",
        "weights",
        "name",
        "items",
        "preset",
    ]
)
kinds = st.sampled_from(["event", "tick", "configure", "recall", "curate", 1, None])
bodies = st.dictionaries(known, values | kinds).flatmap(
    lambda body: kinds.map(lambda kind: json.dumps(body | {"kind": kind}).encode())
)


@given(
    st.none() | st.binary() | bodies | st.just(GOOD),
    st.none() | st.binary() | st.just(WREN) | st.just(OWN_ID),
    st.integers(0, 7),
)
@example(b'{"kind":' + b"[" * 1_020 + b"]" * 1_020 + b"}", WREN, 3)
def test_anything_is_a_record_or_undecodable(value: bytes | None, key: bytes | None, partition: int) -> None:
    raw: Any = Raw(key, value, partition)
    try:
        anima, record = decode(raw, PARTITIONS)
    except Undecodable:
        return
    assert (anima is None) == isinstance(record, Tick)
    assert isinstance(record, Event | Configure | Recall | Tick)


@given(st.none() | st.binary() | bodies, st.sampled_from([Memory, SynthesisTrigger]))
def test_any_record_of_a_derived_topic_reads_or_is_undecodable(value: bytes | None, model: Any) -> None:
    with suppress(Undecodable):
        assert isinstance(read(model, home(value)), model)


def test_a_foreign_producer_needs_a_type_and_content() -> None:
    anima, record = decode(home(GOOD), PARTITIONS)
    assert anima == anima_of(WREN)
    assert record == Event(event_type="message.in", content="The courier changed.")


def test_an_id_of_ones_own_names_itself() -> None:
    body = b'{"event_type": "a.b-c", "content": "x", "anima_id": "%s"}' % OWN_ID
    assert decode(home(body, OWN_ID), PARTITIONS)[0] == UUID(OWN_ID.decode())


def test_unknown_fields_are_ignored() -> None:
    assert decode(home(GOOD[:-1] + b', "colour": "red"}'), PARTITIONS) == decode(home(GOOD), PARTITIONS)


def test_a_tick_needs_no_key_and_no_home() -> None:
    raw: Any = Raw(None, b'{"kind": "tick"}', 5)
    assert decode(raw, PARTITIONS) == (None, Tick())


def test_text_about_nul_is_not_nul() -> None:
    r"""Agents write code: a backslash before `u0000` that is itself escaped is six harmless characters."""
    body = rb'{"event_type": "a", "content": "x", "meta": {"code": "print(\"\\u0000\")"}}'
    _, record = decode(home(body), PARTITIONS)
    assert isinstance(record, Event)
    assert record.meta == {"code": r'print("\u0000")'}


@given(st.builds(Event, event_type=st.just("a"), content=st.just("b"), author=st.none() | st.just("Ines")))
def test_what_we_write_we_read(event: Event) -> None:
    assert decode(home(event.value()), PARTITIONS)[1] == event


def test_a_change_says_only_what_changes() -> None:
    assert Configure(weights=None).value() == b'{"weights":null,"kind":"configure"}'
    assert decode(home(Configure(name="Wren").value()), PARTITIONS)[1].model_fields_set == {"kind", "name"}
