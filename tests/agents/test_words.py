from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import words
from agents.words import LONGEST_STEMMED, STOP_WORDS, terms

any_text = st.text(st.characters(exclude_categories=()), max_size=80)


def finds(query: str, text: str) -> bool:
    wanted = terms(query)
    return bool(wanted) and set(wanted) <= set(terms(text))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("1042", "Ticket T-1042 was closed"),
        ("t-1042", "Ticket T-1042 was closed"),
        ("order 5", "shipped order#5 today"),
        ("user id", "column user_id is null"),
        ("0x1f", "fault at 0x1F"),
        ("2024-05-01", "on 2024-05-01 at noon"),
        ("camping", "we camped by the lake"),
        ("dogs", "the dog's bowl"),
        ("dog", "the dog\u2019s bowl"),
        ("STRASSE", "Hauptstra\u00dfe stra\u00dfe"),
        ("cafe\u0301", "a CAF\u00c9"),
        ("\uff34\uff49\uff43\uff4b\uff45\uff54", "ticket"),
        ("\u6771\u4eac", "\u79c1\u306f\u6771\u4eac\u306b\u4f4f\u3080"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u092e\u0948\u0902 \u0939\u093f\u0928\u094d\u0926\u0940"),
        ("\u043f\u0440\u0438\u0432\u0435\u0442", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!"),
    ],
)
def test_what_is_stored_is_found(query: str, text: str) -> None:
    assert finds(query, text)


@pytest.mark.parametrize(
    ("one", "other"), [("1042", "T-1043"), ("order5", "order 6"), ("\u6771\u4eac", "\u4eac\u6771")]
)
def test_what_differs_is_not_found(one: str, other: str) -> None:
    assert not finds(one, other)


def test_stop_words_leave_nothing() -> None:
    assert terms(" ".join(sorted(STOP_WORDS))) == []
    assert terms("Don\u2019t, WHAT's this?") == []


def test_order_and_repeats_are_kept() -> None:
    red, green = terms("red green")
    assert terms("Red, green; the red.") == [red, green, red]


def test_a_term_is_the_crc_of_the_stem() -> None:
    assert terms("running") == terms("run") == [crc32(b"run")] == [0x5076A4C0]


def test_a_blob_is_one_term_and_is_not_cached() -> None:
    words._short_term.cache_clear()
    assert len(terms("x" * 100_000)) == 1
    assert terms("a" * (LONGEST_STEMMED + 1) + "s") != terms("a" * (LONGEST_STEMMED + 1))
    assert words._short_term.cache_info().currsize == 0


@given(any_text)
def test_every_string_has_terms(text: str) -> None:
    found = terms(text)
    assert all(0 <= term < 2**32 for term in found)
    assert terms(text) == found


@given(any_text, any_text)
def test_terms_do_not_depend_on_what_stands_beside(left: str, right: str) -> None:
    assert terms(f"{left}\n{right}") == terms(left) + terms(right)


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_ascii_has_the_same_terms_among_other_scripts(text: str) -> None:
    assert terms(f"{text} \u00e9") == terms(text) + terms("\u00e9")


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_case_does_not_matter(text: str) -> None:
    assert terms(text.upper()) == terms(text)


def test_threads_agree() -> None:
    texts = [f"nationally relational conditional rational{n} hopping{n}" for n in range(2_000)]
    alone = [terms(text) for text in texts]
    words._short_term.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(terms, texts)) == alone
