"""Score every item of one anima for one question, and fill a token budget with the best.

Everything here is arithmetic on arrays indexed by `seq`, an item's dense ordinal in the order of the log: no I/O, no
clock. The items are events; memories rank the same way. The total is a sum of weighted components:

    words               BM25 of the item's own terms
    nearby words        BM25 of the item and the two before and after it in its thread, taken as one text
    thread words        BM25 of the item's whole thread, taken as one text
    similarity          cosine of the item's vector with the question's
    nearby similarity   its mean over the item and the two before and after it in its thread
    named author        the question names who said it
    named time          the question names when it was said

The first five are z-scores over the anima, so that the weights mean the same for 100 items and for 100,000. A thread is
what one session holds, cut wherever nothing was said for `SILENCE_S`, so that producers without sessions, or with a
single endless one, get neighbours too.

BM25: S. Robertson and H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, section 3; its k1 and
b are left at the usual 1.2 and .75, and its idf is made non-negative by 1 + inside the logarithm, as in Lucene.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

K1, B = 1.2, 0.75
RADIUS = 2
SILENCE_S = 4 * 3600
WEIGHTS: Mapping[str, float] = {
    "words": 0.2,
    "nearby words": 0.5,
    "thread words": 0.3,
    "similarity": 1.0,
    "nearby similarity": 0.5,
    "named author": 1.0,
    "named time": 1.0,
}
# What sets a few items apart from all others tells more than what halves them; but a name or a date may be mistaken,
# and must not outweigh an answer that is found by its words and its meaning.
MOST_SET_APART = 4.0
# Terms are scored in blocks of about this many cells: few numpy calls for a small anima, arrays that stay in cache for
# a large one.
CELLS = 1 << 15
# A pasted page asks for hundreds of words; the rarest of them find what all would find, in bounded time.
MOST_TERMS = 32

Floats = NDArray[np.float32]
Ints = NDArray[np.integer]


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What is stored about n items, and how they meet the question. All arrays are indexed by seq.

    lengths      (n,) terms of each item, repeats counted
    sessions     (n,) number of its session (any number, as long as it is one session's), one number for all without
    authors      (n,) number of its author, likewise
    occurred_at  (n,) seconds since 1970
    similarity   (n,) cosine with the question's vector, NaN where there is no vector yet
    postings     a pair for each distinct term of the question: the seqs that have it (ascending), how often each does
    """

    lengths: Ints
    sessions: Ints
    authors: Ints
    occurred_at: Ints
    similarity: Floats
    postings: Sequence[tuple[Ints, Ints]]


@dataclass(frozen=True, slots=True)
class Named:
    """What the question names: authors by their number, and times as (first, last) second since 1970, both included."""

    authors: frozenset[int] = frozenset()
    times: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """`total` (n,) is the sum of `components` (each (n,), weighted). Higher is better; only differences count."""

    total: Floats
    components: Mapping[str, Floats] = field(repr=False)

    def breakdown(self, seqs: Sequence[int]) -> list[dict[str, float]]:
        """Of each of these items the components, and the total at the end."""
        parts = [part[seqs].tolist() for part in (*self.components.values(), self.total)]
        return [dict(zip((*self.components, "total"), values, strict=True)) for values in zip(*parts, strict=True)]

    def best(self, count: int) -> NDArray[np.intp]:
        """The seqs of the `count` highest totals, best first; of equals the earlier."""
        total = self.total
        if not 0 < count < len(total):
            return np.argsort(-total, kind="stable")[: max(count, 0)]
        least = np.partition(total, len(total) - count)[len(total) - count]
        candidates = np.flatnonzero(total >= least)
        return candidates[np.argsort(-total[candidates], kind="stable")][:count]


def rank(signals: Signals, named: Named = Named()) -> Ranking:
    """Score all items. Without postings the vectors decide, without vectors the words."""
    if not len(signals.lengths):
        empty = np.zeros(0, np.float32)
        return Ranking(empty, dict.fromkeys(WEIGHTS, empty))
    threads = Threads(signals.sessions, signals.occurred_at)
    words = Words(signals, threads)
    own_words = standard(words.of_items())
    similarity = _complete(signals.similarity, own_words)
    scores = {
        "words": own_words,
        "nearby words": standard(words.of_neighbourhoods()),
        "thread words": standard(words.of_threads()),
        "similarity": similarity,
        "nearby similarity": standard(threads.nearby_mean(similarity)),
        "named author": _set_apart(_said_by(signals.authors, named.authors)),
        "named time": _set_apart(_said_within(signals.occurred_at, named.times)),
    }
    components = {name: np.float32(WEIGHTS[name]) * score for name, score in scores.items()}
    return Ranking(sum(components.values(), np.zeros(len(own_words), np.float32)), components)


def standard(scores: Floats) -> Floats:
    """The scores' z-scores; all zero if they do not differ (by more than rounding)."""
    centred: Floats = scores - scores.mean(dtype=np.float64).astype(np.float32)
    deviation = float(np.sqrt(np.square(centred).mean(dtype=np.float64)))
    if deviation <= 1e-6 * float(np.abs(scores).max()):
        return np.zeros(len(scores), np.float32)
    return centred * np.float32(1 / deviation)


class Threads:
    """Who is next to whom. Items stand in a row of cells, thread after thread, with RADIUS empty cells between two
    threads, so that adding shifted copies of a row never mixes threads.
    """

    def __init__(self, sessions: Ints, occurred_at: Ints) -> None:
        occurred_at = occurred_at.astype(np.int64, copy=False)  # a difference of two 32-bit times may not fit 32 bits
        self.order = _by_session(sessions)
        if self.order is not None:
            sessions, occurred_at = sessions[self.order], occurred_at[self.order]
        border = (sessions[1:] != sessions[:-1]) | (np.abs(np.diff(occurred_at)) > SILENCE_S)
        thread = np.zeros(len(sessions), np.intp)
        np.cumsum(border, out=thread[1:])
        cell = np.arange(RADIUS, RADIUS + len(thread)) + RADIUS * thread
        self.count = int(thread[-1]) + 1
        self.thread = self._by_seq(thread)
        self.cell = self._by_seq(cell)
        self.cells = int(cell[-1]) + 1 + RADIUS

    def _by_seq(self, values: NDArray[np.intp]) -> NDArray[np.intp]:
        if self.order is None:
            return values
        placed = np.empty_like(values)
        placed[self.order] = values
        return placed

    def row(self, values: Floats) -> Floats:
        cells = np.zeros(self.cells, np.float32)
        cells[self.cell] = values
        return cells

    def nearby_mean(self, values: Floats) -> Floats:
        sums = nearby_sums(self.row(values))
        counts = nearby_sums(self.row(np.ones(len(values), np.float32)))
        mean: Floats = sums[self.cell] / counts[self.cell]
        return mean


def nearby_sums(rows: Floats) -> Floats:
    """Each cell plus the RADIUS cells before and after it, along the last axis. The outer RADIUS cells stay empty."""
    sums = np.zeros_like(rows)
    inner = sums[..., RADIUS:-RADIUS]
    width = inner.shape[-1]
    for start in range(2 * RADIUS + 1):
        inner += rows[..., start : start + width]
    return sums


class Words:
    """BM25 of the question's terms over items, neighbourhoods and threads. The idf is that of items throughout."""

    def __init__(self, signals: Signals, threads: Threads) -> None:
        self.threads = threads
        self.lengths = signals.lengths.astype(np.float32)
        found = _rarest([(seqs, counts) for seqs, counts in signals.postings if len(seqs)])
        frequency = np.array([len(seqs) for seqs, _ in found], np.intp)
        self.idf = np.log1p((len(self.lengths) - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        self.term = np.repeat(np.arange(len(found)), frequency)
        self.starts = np.concatenate(([0], np.cumsum(frequency)))
        self.seqs = np.concatenate([np.zeros(0, np.intp), *(seqs for seqs, _ in found)])
        self.counts = np.concatenate([np.zeros(0, np.float32), *(counts for _, counts in found)]).astype(np.float32)

    def of_items(self) -> Floats:
        parts = _saturated(self.counts, _norm(self.lengths)[self.seqs]) * self.idf[self.term]
        return np.bincount(self.seqs, parts, len(self.lengths)).astype(np.float32)

    def of_neighbourhoods(self) -> Floats:
        threads = self.threads
        lengths = nearby_sums(threads.row(self.lengths))
        norm = _norm(lengths, float(lengths[threads.cell].mean(dtype=np.float64)))
        scores = np.zeros(threads.cells, np.float32)
        for counts, idf in self._tables(threads.cell, threads.cells):
            scores += (_saturated(nearby_sums(counts), norm) * idf).sum(axis=0)
        return scores[threads.cell]

    def of_threads(self) -> Floats:
        threads = self.threads
        norm = _norm(np.bincount(threads.thread, self.lengths, threads.count).astype(np.float32))
        scores = np.zeros(threads.count, np.float32)
        for counts, idf in self._tables(threads.thread, threads.count):
            scores += (_saturated(counts, norm) * idf).sum(axis=0)
        return scores[threads.thread]

    def _tables(self, place: NDArray[np.intp], width: int) -> Iterator[tuple[Floats, Floats]]:
        """Some terms at a time: how often each (row) occurs in each place (column), and their idf as a column."""
        terms = max(1, CELLS // width)
        for first in range(0, len(self.idf), terms):
            idf = self.idf[first : first + terms, None]
            some = slice(self.starts[first], self.starts[first + len(idf)])
            cells = (self.term[some] - first) * width + place[self.seqs[some]]
            counts = np.bincount(cells, self.counts[some], len(idf) * width).astype(np.float32)
            yield counts.reshape(len(idf), width), idf


def _rarest(postings: list[tuple[Ints, Ints]]) -> list[tuple[Ints, Ints]]:
    return sorted(postings, key=lambda posting: len(posting[0]))[:MOST_TERMS]


def _norm(lengths: Floats, mean: float | None = None) -> Floats:
    """k1 · (1 - b + b · length / mean length); never zero, so that items without a single term divide by something."""
    mean = float(lengths.mean(dtype=np.float64)) if mean is None else mean
    return np.float32(K1 * (1 - B)) + lengths * np.float32(K1 * B / max(mean, 1e-9))


def _saturated(counts: Floats, norm: Floats) -> Floats:
    scores: Floats = counts * np.float32(K1 + 1)
    scores /= counts + norm
    return scores


def _complete(similarity: Floats, words: Floats) -> Floats:
    """z-scores of the similarities, those missing replaced by what the words let expect (least squares over those
    known), so that an item without a vector is neither hidden nor preferred.
    """
    known = ~np.isnan(similarity)
    if known.all():
        return standard(similarity)
    completed = np.zeros(len(similarity), np.float32)
    if known.any():
        completed[known] = standard(similarity[known])
        predictor = standard(words[known])
        slope = np.float32(max(0.0, float((completed[known] * predictor).mean(dtype=np.float64))))
        completed[~known] = slope * words[~known]
    return completed


def _said_by(authors: Ints, named: frozenset[int]) -> NDArray[np.bool_]:
    said = np.zeros(len(authors), np.bool_)
    for author in named:
        said |= authors == author
    return said


def _said_within(occurred_at: Ints, times: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    said = np.zeros(len(occurred_at), np.bool_)
    for first, last in times:
        said |= (occurred_at >= first) & (occurred_at <= last)
    return said


def _set_apart(chosen: NDArray[np.bool_]) -> Floats:
    """For the chosen, by how many standard deviations of the indicator they differ; zero if it divides nobody."""
    share = float(chosen.mean(dtype=np.float64))
    if share in (0.0, 1.0):
        return np.zeros(len(chosen), np.float32)
    return chosen * np.float32(min((share * (1 - share)) ** -0.5, MOST_SET_APART))


def _by_session(sessions: Ints) -> NDArray[np.intp] | None:
    """The order that brings each session together, or None if the log already has them so (it mostly does)."""
    changes = np.flatnonzero(sessions[1:] != sessions[:-1]) + 1
    starts = sessions[np.concatenate(([0], changes))]
    if len(np.unique(starts)) == len(starts):
        return None
    return np.argsort(sessions, kind="stable")
