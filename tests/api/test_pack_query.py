"""Whom and which time a question names."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.packs.query import embedding_text, named_authors, named_times

NAMES = ["Ada Lovelace", "Grace", "search_tool", "user", "Will", "release bot"]


@pytest.mark.parametrize(
    ("question", "authors", "embedded"),
    [
        ("When did Grace's ship sail?", {1}, "When did someone's ship sail?"),
        ("what did ada and GRACE build?", {0, 1}, "what did someone and someone build?"),
        ("Where does Ada Lovelace live?", {0}, "Where does someone live?"),
        ("Is Lovelace a mathematician?", {0}, "Is someone a mathematician?"),
        ("Did the search find a tool?", set(), "Did the search find a tool?"),
        ("What did search_tool return?", {2}, "What did someone return?"),
        ("What did the user ask for?", {3}, "What did someone ask for?"),
        ("Will it rain? I will see.", set(), "Will it rain? I will see."),
        ("Where does Will live?", {4}, "Where does someone live?"),
        ("Is she graceful?", set(), "Is she graceful?"),
        ("Which release failed?", set(), "Which release failed?"),
        ("What did the release bot say?", {5}, "What did someone say?"),
        ("", set(), ""),
    ],
)
def test_authors_in_a_question(question: str, authors: set[int], embedded: str) -> None:
    assert named_authors(question, NAMES) == authors
    assert embedding_text(question, NAMES) == embedded


@given(st.text(max_size=60), st.lists(st.text(max_size=12), max_size=5))
def test_any_names_in_any_question(question: str, names: list[str]) -> None:
    named = named_authors(question, names)
    assert named <= set(range(len(names)))
    assert named or embedding_text(question, names) == question


NOW = datetime(2024, 3, 20, 15, 0, tzinfo=UTC)


def days(question: str, now: datetime = NOW) -> list[tuple[str, str]]:
    """The spans as dates, without the day before and the week after that are added for tellers."""
    return [
        (
            f"{datetime.fromtimestamp(first + 86_400, UTC):%Y-%m-%d}",
            f"{datetime.fromtimestamp(last - 7 * 86_400, UTC):%Y-%m-%d}",
        )
        for first, last in named_times(question, now)
    ]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What broke on 2023-05-08?", [("2023-05-08", "2023-05-08")]),
        ("What broke in 2023-05?", [("2023-05-01", "2023-05-31")]),
        ("on May 23, 2023", [("2023-05-23", "2023-05-23")]),
        ("on the 23rd of May 2023", [("2023-05-23", "2023-05-23")]),
        ("on 7 january", [("2024-01-07", "2024-01-07")]),
        ("on Sept. 5th", [("2023-09-05", "2023-09-05")]),
        ("in February", [("2024-02-01", "2024-02-29")]),
        ("in March", [("2024-03-01", "2024-03-31")]),
        ("in December 2021", [("2021-12-01", "2021-12-31")]),
        ("between August 11 and August 15 2022", [("2022-08-11", "2022-08-11"), ("2022-08-15", "2022-08-15")]),
        ("since 2022", [("2022-01-01", "2022-12-31")]),
        ("what happened yesterday?", [("2024-03-19", "2024-03-19")]),
        ("and today?", [("2024-03-20", "2024-03-20")]),
        ("last week", [("2024-03-06", "2024-03-20")]),
        ("this month", [("2024-02-19", "2024-03-20")]),
        ("two weeks ago", [("2024-03-03", "2024-03-09")]),
        ("3 days ago", [("2024-03-17", "2024-03-17")]),
        ("may I march on? It may, marching.", []),
        ("May I go?", []),
        ("on February 30, 2023", []),
        ("in 2023-13", []),
        ("error 2023 at port 1984", []),
    ],
)
def test_times_in_a_question(question: str, expected: list[tuple[str, str]]) -> None:
    assert days(question) == expected


def test_times_include_the_whole_last_day() -> None:
    ((first, last),) = named_times("yesterday", NOW)
    assert (last + 1 - first) / 86_400 == 1 + 1 + 7
    assert last % 86_400 == 86_399


@given(
    st.text(st.sampled_from("0123456789- ,.MayJuneSept agolstwkday"), max_size=40), st.datetimes(datetime(1970, 1, 1))
)
def test_any_question_has_times(question: str, now: datetime) -> None:
    assert all(first < last for first, last in named_times(question, now.replace(tzinfo=UTC)))
