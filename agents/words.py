"""The analyser: text to search terms, the same for what is stored and for what is asked.

NFKC and casefold, split into words, drop English stop words, stem (Snowball English), and number each stem by CRC-32.
Numbers and the parts of identifiers are words: `T-1042` is found by `1042`, `order#5` by `order 5`. Scripts written
without spaces become overlapping pairs of characters, as in Lucene's CJK analyser.
"""

import re
import threading
import unicodedata
from functools import lru_cache
from zlib import crc32

import Stemmer

STOP_WORDS = frozenset(
    """
    a about after all am an and any are as at be been before being between both but by can could did do does doing for
    from had has have having he her here hers herself him himself his how i if in into is it its itself just me more
    most my myself no nor not of off on once only or other our ours ourselves out over own same she should so some such
    than that the their theirs them themselves then there these they this those through to too under until up very was
    we were what when where which while who whom whose why will with would you your yours yourself yourselves i'm you're
    he's she's it's we're they're i've you've we've they've i'd you'd he'd she'd we'd they'd i'll you'll he'll she'll
    we'll they'll isn't aren't wasn't weren't hasn't haven't hadn't doesn't don't didn't won't wouldn't shan't shouldn't
    can't couldn't mustn't let's that's who's what's here's there's when's where's why's how's
    """.split()  # noqa: SIM905 - a list of 150 quoted words hides the words
)

# What is longer is a blob (base64, a digest): it has no stem and does not deserve a place in the cache.
LONGEST_STEMMED = 40

# Thai, Lao, Burmese, Khmer, Japanese, Chinese; and Hangul, whose words carry their particles.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
)
# Combining marks that are part of a word (Hebrew and Arabic points, Indic vowels), which \w leaves out.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0981-\u0983\u09be-\u09cd\u0b82\u0bbe-\u0bcd"
)
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_WORD = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[^\W_])(?:(?![{_UNSPACED}])[^\W_]|[{_MARKS}])*(?:'[^\W\d_]+)?")
_UNSPACED_RUN = re.compile(rf"[{_UNSPACED}]+")

_of_thread = threading.local()


def terms(text: str) -> list[int]:
    """The terms of any text in its order, repeats kept, each a uint32. Two words have the same term if they have the
    same stem (or, once in 2**32, by chance).
    """
    return [term for word in _words(text) if (term := _term(word)) is not None]


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("\u2019", "'")
    return [word for run in _WORD.findall(folded) for word in _pairs(run)]


def _pairs(run: str) -> list[str]:
    if len(run) < 3 or not _UNSPACED_RUN.fullmatch(run):
        return [run]
    return [run[at : at + 2] for at in range(len(run) - 1)]


def _term(word: str) -> int | None:
    return crc32(word.encode()) if len(word) > LONGEST_STEMMED else _short_term(word)


@lru_cache(maxsize=1 << 16)
def _short_term(word: str) -> int | None:
    return None if word in STOP_WORDS else crc32(_stemmer().stemWord(word).encode())


def _stemmer() -> Stemmer.Stemmer:
    """One per thread, because a Stemmer must not be shared; without its own cache, because ours stands before it."""
    if not hasattr(_of_thread, "stemmer"):
        _of_thread.stemmer = Stemmer.Stemmer("english", 0)
    stemmer: Stemmer.Stemmer = _of_thread.stemmer
    return stemmer
