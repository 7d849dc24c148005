from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka import partition_of
from streams.positions import InvalidKey, Position, anima_of, event_id, window_id

ANIMA = UUID("0190a8f0-7c3b-7d4e-9a51-2f6b1c0d4e5f")
topics = st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True)


@given(topics, st.integers(0, 10**9 - 1), st.integers(0, 10**18 - 1))
def test_a_position_survives_its_text(topic: str, partition: int, offset: int) -> None:
    position = Position(topic, partition, offset)
    assert Position.parse(str(position)) == position


@given(st.text())
def test_other_text_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="is not a position"):
        Position.parse(text)


@pytest.mark.parametrize("text", ["", "a/1", "a/1/", "a/-1/2", "a/1/2/3", "a b/1/2", "a/1/2\n", "a/1/" + "9" * 19])
def test_what_looks_like_a_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a position"):
        Position.parse(text)


@pytest.mark.parametrize(
    ("key", "anima", "home"),
    [
        (b"wren", "190b19ae-6836-8c75-8279-82a48365145e", 1),
        ("Zaunkönig".encode(), "214c4214-1753-8285-be4c-dd75f3fc1674", 0),
        (b"0190a8f0-7c3b-7d4e-9a51-2f6b1c0d4e5f", str(ANIMA), 4),
    ],
)
def test_ids_of_animas_and_their_partitions_never_change(key: bytes, anima: str, home: int) -> None:
    assert (str(anima_of(key)), partition_of(key, 8)) == (anima, home)


def test_ids_of_events_and_windows_never_change() -> None:
    assert str(event_id(ANIMA, 3, 1042, None)) == "1d6c8b61-6552-5f42-bd93-e30dd7e28d4a"
    assert str(event_id(ANIMA, 3, 1042, "order-7")) == "5f7aafe6-16e6-57fb-872f-98a4a7bd1bd3"
    assert str(window_id(ANIMA, 3, 1000, 1042)) == "5fa6f7a7-2217-5502-806f-327dc8eb58a7"


def test_a_dedupe_key_names_the_event_wherever_it_stands() -> None:
    assert event_id(ANIMA, 0, 1, "k") == event_id(ANIMA, 5, 9, "k")
    assert event_id(ANIMA, 0, 1, "k") != event_id(uuid4(), 0, 1, "k")


@given(st.text(min_size=1, max_size=200).filter(lambda text: "\x00" not in text and not text.isspace()))
def test_a_text_key_derives_an_id_of_version_8(text: str) -> None:
    try:
        anima = anima_of(text.encode())
    except InvalidKey:
        assert UUID(text).version == 8 or text != text.lower()
        return
    assert anima.version == 8 or anima == UUID(text)


@given(st.binary(max_size=300))
def test_any_key_names_an_anima_or_is_invalid(key: bytes) -> None:
    try:
        anima = anima_of(key)
    except InvalidKey:
        return
    assert 1 <= len(key.decode()) <= 200
    assert anima_of(key) == anima


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "no key"),
        (b"", "no key"),
        (b"\xff", "not UTF-8"),
        (b"\xed\xa0\x80", "not UTF-8"),
        (b" \t", "1 to 200 characters"),
        (b"x" * 201, "1 to 200 characters"),
        (b"a\x00b", "without NUL"),
        (b"0190A8F0-7C3B-7D4E-9A51-2F6B1C0D4E5F", "lower case"),
        (str(anima_of(b"wren")).encode(), "derived from a text key"),
    ],
)
def test_keys_that_are_refused(key: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidKey, match=reason):
        anima_of(key)
