"""The ranker against a brute-force reference on small logs, and its invariances."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from api.packs.ranking import (
    K1,
    MOST_TERMS,
    RADIUS,
    SILENCE_S,
    WEIGHTS,
    B,
    Floats,
    Named,
    Ranking,
    Signals,
    Threads,
    Words,
    rank,
    standard,
)

TERMS = 4


@dataclass(frozen=True)
class Item:
    terms: tuple[int, ...]
    session: int
    pause_s: int
    author: int
    similarity: float


items = st.builds(
    Item,
    terms=st.lists(st.integers(0, TERMS + 3), max_size=6).map(tuple),
    session=st.integers(-1, 2),
    pause_s=st.sampled_from([-60, 0, 60, SILENCE_S, SILENCE_S + 1]),
    author=st.integers(-1, 2),
    similarity=st.integers(-20, 20).map(lambda twentieths: twentieths / 20),
)
logs = st.lists(items, min_size=1, max_size=25)


def signals(log: Sequence[Item]) -> Signals:
    postings = []
    for term in range(TERMS):
        counts = np.array([item.terms.count(term) for item in log], np.int32)
        seqs = np.flatnonzero(counts).astype(np.int32)
        postings.append((seqs, counts[seqs]))
    return Signals(
        lengths=np.array([len(item.terms) for item in log], np.int32),
        sessions=np.array([item.session for item in log], np.int32),
        authors=np.array([item.author for item in log], np.int32),
        occurred_at=np.cumsum([item.pause_s for item in log], dtype=np.int64),
        similarity=np.array([item.similarity for item in log], np.float32),
        postings=postings,
    )


def threads_of(log: Sequence[Item]) -> list[list[int]]:
    """The seqs of each thread in order, found without arrays."""
    times = np.cumsum([item.pause_s for item in log]).tolist()
    threads: list[list[int]] = []
    latest: dict[int, list[int]] = {}
    for seq, item in enumerate(log):
        thread = latest.get(item.session)
        if thread is None or abs(times[seq] - times[thread[-1]]) > SILENCE_S:
            thread = latest[item.session] = []
            threads.append(thread)
        thread.append(seq)
    return threads


def bm25(log: Sequence[Item], texts: list[tuple[int, ...]], mean_length: float) -> list[float]:
    def score(text: tuple[int, ...]) -> float:
        total = 0.0
        for term in range(TERMS):
            frequency = sum(term in item.terms for item in log)
            idf = math.log(1 + (len(log) - frequency + 0.5) / (frequency + 0.5))
            norm = K1 * (1 - B + B * len(text) / max(mean_length, 1e-9))
            total += idf * text.count(term) * (K1 + 1) / (text.count(term) + norm)
        return total

    return [score(text) for text in texts]


def nearby_texts(log: Sequence[Item]) -> list[tuple[int, ...]]:
    texts: dict[int, tuple[int, ...]] = {}
    for thread in threads_of(log):
        for at, seq in enumerate(thread):
            near = thread[max(0, at - RADIUS) : at + RADIUS + 1]
            texts[seq] = sum((log[other].terms for other in near), ())
    return [texts[seq] for seq in range(len(log))]


def words(log: Sequence[Item]) -> Words:
    arrays = signals(log)
    return Words(arrays, Threads(arrays.sessions, arrays.occurred_at))


def close(found: Floats, expected: Sequence[float] | Floats) -> bool:
    return bool(np.allclose(found, np.asarray(expected), rtol=1e-4, atol=1e-4))


@given(logs)
def test_words_are_bm25(log: list[Item]) -> None:
    texts = [item.terms for item in log]
    assert close(words(log).of_items(), bm25(log, texts, float(np.mean([len(text) for text in texts]))))


@given(logs)
def test_nearby_words_are_bm25_of_the_neighbours_as_one_text(log: list[Item]) -> None:
    texts = nearby_texts(log)
    assert close(words(log).of_neighbourhoods(), bm25(log, texts, float(np.mean([len(text) for text in texts]))))


@given(logs)
def test_thread_words_are_bm25_of_the_thread_as_one_text(log: list[Item]) -> None:
    threads = threads_of(log)
    texts = [sum((log[seq].terms for seq in thread), ()) for thread in threads]
    scores = bm25(log, texts, float(np.mean([len(text) for text in texts])))
    of_items = {seq: score for thread, score in zip(threads, scores, strict=True) for seq in thread}
    assert close(words(log).of_threads(), [of_items[seq] for seq in range(len(log))])


@given(logs)
def test_nearby_mean_stays_in_its_thread(log: list[Item]) -> None:
    arrays = signals(log)
    found = Threads(arrays.sessions, arrays.occurred_at).nearby_mean(arrays.similarity)
    for thread in threads_of(log):
        for at, seq in enumerate(thread):
            near = thread[max(0, at - RADIUS) : at + RADIUS + 1]
            assert found[seq] == pytest.approx(np.mean([log[other].similarity for other in near]), abs=1e-5)


@given(logs)
@settings(max_examples=50)
def test_many_terms_are_scored_in_blocks_as_in_one(log: list[Item]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = words(log).of_neighbourhoods(), words(log).of_threads()
        patch.setattr("api.packs.ranking.CELLS", 1)
        assert close(words(log).of_neighbourhoods(), whole[0])
        assert close(words(log).of_threads(), whole[1])


@given(logs)
def test_the_total_is_the_sum_of_finite_components(log: list[Item]) -> None:
    ranking = rank(signals(log), Named(frozenset({0}), ((0, 100),)))
    assert list(ranking.components) == list(WEIGHTS)
    assert ranking.total.dtype == np.float32
    assert np.isfinite(ranking.total).all()
    for seq in range(len(log)):
        *parts, total = ranking.breakdown([seq])[0].values()
        assert sum(parts) == pytest.approx(total, abs=1e-4)


@given(logs)
def test_the_same_signals_give_the_same_bytes(log: list[Item]) -> None:
    assert rank(signals(log)).total.tobytes() == rank(signals(log)).total.tobytes()


@given(logs, st.randoms(use_true_random=False))
def test_interleaved_sessions_rank_as_if_they_stood_apart(log: list[Item], random) -> None:  # type: ignore[no-untyped-def]
    """However sessions are mixed in the log, what counts is the order within each."""
    log = [replace(item, pause_s=0) for item in log]
    apart = sorted(range(len(log)), key=lambda seq: log[seq].session)
    assert close(rank(signals([log[seq] for seq in apart])).total, rank(signals(log)).total[apart])


@given(logs, st.permutations(range(TERMS)))
def test_the_order_of_terms_does_not_matter(log: list[Item], order: list[int]) -> None:
    arrays = signals(log)
    mixed = replace(arrays, postings=[arrays.postings[term] for term in order])
    assert close(rank(mixed).total, rank(arrays).total)


@given(logs, st.sampled_from([0.1, 3.0]), st.sampled_from([-0.5, 0.0, 0.25]))
def test_only_the_differences_between_similarities_matter(log: list[Item], factor: float, shift: float) -> None:
    arrays = signals(log)
    moved = replace(arrays, similarity=(arrays.similarity * factor + shift).astype(np.float32))
    assert np.allclose(rank(moved).total, rank(arrays).total, atol=1e-3)


@given(logs, st.data())
def test_a_missing_vector_never_makes_a_score_missing(log: list[Item], data: st.DataObject) -> None:
    arrays = signals(log)
    for seq in data.draw(st.sets(st.integers(0, len(log) - 1))):
        arrays.similarity[seq] = np.nan
    assert np.isfinite(rank(arrays).total).all()


def test_nothing_and_one_item_can_be_ranked() -> None:
    assert rank(signals([])).total.shape == (0,)
    assert rank(signals([])).best(5).tolist() == []
    assert rank(signals([Item((0, 1), 0, 0, 0, 0.5)])).total.tolist() == [0.0]


def test_without_a_question_all_are_equal() -> None:
    arrays = replace(signals([Item((5,) * n, n % 2, 60, 0, 0.0) for n in range(9)]), postings=[])
    assert not rank(replace(arrays, similarity=np.full(9, np.nan, np.float32))).total.any()


def some_log(count: int) -> list[Item]:
    generator = np.random.default_rng(5)
    return [
        Item(tuple(generator.integers(0, 40, 12).tolist()), seq // 20, 60, seq % 3, float(generator.normal()))
        for seq in range(count)
    ]


def test_without_any_vector_the_words_decide() -> None:
    arrays = signals(some_log(200))
    blind = rank(replace(arrays, similarity=np.full(200, np.nan, np.float32)))
    by_words = sum(blind.components[name] for name in ("words", "nearby words", "thread words"))
    assert blind.best(20).tolist() == np.argsort(-np.asarray(by_words), kind="stable")[:20].tolist()


@pytest.mark.parametrize("missing", [slice(0, 60), slice(140, 200), slice(0, 150)])
def test_what_has_no_vector_yet_is_found_by_its_words(missing: slice) -> None:
    """Similarity follows the words here, so items without a vector must keep about the rank they would have."""
    arrays = signals(some_log(200))
    own = words(some_log(200)).of_items()
    arrays = replace(arrays, similarity=(own + 0.1 * arrays.similarity).astype(np.float32))
    seq = int(np.argmax(own[missing])) + (missing.start or 0)
    arrays.similarity[missing] = np.nan
    assert seq in rank(arrays).best(20)


def test_session_borders_and_long_silences_part_neighbours() -> None:
    found = Item((0,), 0, 60, 0, 0.0)
    others = [Item((9,), 0, 60, 0, 0.0), Item((9,), 1, 60, 0, 0.0), Item((9,), 1, SILENCE_S + 1, 0, 0.0)]
    nearby = words([found, *others]).of_neighbourhoods()
    assert (nearby > 0).tolist() == [True, True, False, False]


def test_times_of_32_bits_do_not_overflow() -> None:
    arrays = signals(some_log(2))
    far = np.array([-(2**31), 2**31 - 1], np.int32)
    assert Threads(arrays.sessions, far).count == 2


def test_only_the_rarest_terms_are_scored() -> None:
    arrays = signals(some_log(50))
    common = (np.arange(40), np.arange(1, 41))
    rare = [(np.array([seq]), np.ones(1, np.int32)) for seq in range(MOST_TERMS)]
    assert close(rank(replace(arrays, postings=[common, *rare])).total, rank(replace(arrays, postings=rare)).total)


class TestNamed:
    def components(self, named: Named) -> Ranking:
        return rank(signals([Item((), 0, 60, seq % 2, 0.0) for seq in range(100)]), named)

    def test_an_author_is_preferred(self) -> None:
        assert self.components(Named(frozenset({1}))).best(50).tolist() == list(range(1, 100, 2))

    def test_all_authors_or_an_unknown_one_change_nothing(self) -> None:
        for authors in ({0, 1}, {7}):
            assert not self.components(Named(frozenset(authors))).components["named author"].any()

    def test_a_time_counts_with_both_ends(self) -> None:
        ranking = self.components(Named(times=((120, 180), (6000, 9999))))
        assert np.flatnonzero(ranking.components["named time"]).tolist() == [1, 2, 99]

    def test_the_rarer_the_stronger_within_a_limit(self) -> None:
        def most(last: int) -> float:
            return float(self.components(Named(times=((0, last),))).components["named time"].max())

        assert most(60 * 50) == pytest.approx(2.0)
        assert 2.0 < most(60 * 10) < most(60) == 4.0


class TestStandard:
    @given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=50))
    def test_it_has_mean_0_and_deviation_1(self, values: list[int]) -> None:
        scores = standard(np.array(values, np.float32))
        assert float(scores.mean()) == pytest.approx(0, abs=1e-4)
        assert float(scores.std()) == pytest.approx(float(len(set(values)) > 1), abs=1e-3)

    @given(st.floats(-1e6, 1e6, width=32), st.integers(1, 40))
    def test_equal_scores_do_not_differ(self, value: float, count: int) -> None:
        assert not standard(np.full(count, value, np.float32)).any()


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(-1, 70))
def test_best_is_the_head_of_the_whole_order(totals: list[int], count: int) -> None:
    ranking = Ranking(np.array(totals, np.float32), {})
    whole = sorted(range(len(totals)), key=lambda seq: (-totals[seq], seq))
    assert ranking.best(count).tolist() == whole[: max(count, 0)]


def test_known_scores() -> None:
    """Two of four items have the term: idf = ln 2; lengths 2, 2, 4, 4 with mean 3."""
    log = [
        Item((0, 9), 0, 0, 0, 0.0),
        Item((9, 9), 1, 0, 0, 0.0),
        Item((0, 0, 9, 9), 2, 0, 0, 0.0),
        Item((9,) * 4, 3, 0, 0, 0.0),
    ]
    scores: NDArray[np.float32] = words(log).of_items()
    assert scores.tolist() == pytest.approx([math.log(2) * 2.2 / 1.9, 0, math.log(2) * 4.4 / 3.5, 0], rel=1e-5)
