"""Where terms stand, read from packed entries and counted in documents, is what counting one by one gives."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.index import BUCKETS, CHUNK, postings
from sinks.postings import Entries, counted

# Few terms, some of them of one bucket, so that they meet.
TERMS = [1, 2, 3, 1 + BUCKETS, 2 + 5 * BUCKETS, 2**32 - 1]
documents = st.lists(st.lists(st.sampled_from(TERMS), max_size=6), max_size=12)


def expected(found: dict[int, list[int]], term: int) -> list[tuple[int, int]]:
    return [(seq, Counter(words)[term]) for seq, words in sorted(found.items()) if term in words]


@given(documents, st.sets(st.sampled_from(TERMS)))
def test_terms_are_counted_per_document(texts: list[list[int]], wanted: set[int]) -> None:
    terms = np.array([term for words in texts for term in words], np.uint32)
    seqs = np.repeat(np.arange(7, 7 + len(texts), dtype=np.int32), [len(words) for words in texts])
    found = list(counted(terms, seqs, sorted(wanted)))
    assert len(found) == len(wanted)
    for term, (places, frequencies) in zip(sorted(wanted), found, strict=True):
        pairs = list(zip(places.tolist(), frequencies.tolist(), strict=True))
        assert pairs == expected(dict(enumerate(texts, 7)), term)


@given(documents.filter(any), documents, st.sampled_from(TERMS))
def test_a_term_is_found_in_the_entries_of_chunks(first: list[list[int]], later: list[list[int]], term: int) -> None:
    chunks = {0: first, 3: later}
    packed = [
        (bucket, chunk, entries)
        for chunk, texts in chunks.items()
        for bucket, entries in postings(np.array(words, "<u4").tobytes() for words in texts).items()
    ]
    spans = np.array([(chunk, len(entries)) for _, chunk, entries in sorted(packed)], ">i4").tobytes()
    seqs, frequencies = Entries(b"".join(entries for _, _, entries in sorted(packed)), spans).find(term)
    texts = {CHUNK * chunk + at: words for chunk, own in chunks.items() for at, words in enumerate(own)}
    assert list(zip(seqs.tolist(), frequencies.tolist(), strict=True)) == expected(texts, term)
