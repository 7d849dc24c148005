"""The sentences of a window, each with what speaks for and against quoting it.

The cues are after Edmundson, "New Methods in Automatic Extracting" (JACM 16, 1969), chosen for conversations: what a
memory is asked for later is names, numbers, preferences, corrections, decisions and what people say of themselves.
Their words are English; numbers, questions, data and roles work in any language.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sentencex

from agents.words import terms

# In characters. A quote that is longer is cut after a word; of an event that is longer, the beginning is read.
LONGEST_QUOTE = 400
LONGEST_EVENT = 40_000

_ROLES = {"message.in": 100, "message.out": 85, "tool.call": 15, "tool.result": 25, "system": 25}
_OTHER_ROLE = 85

# Percent that each distinct stem adds, up to so many: a detailed sentence is worth more than a general one.
_PER_STEM, _MOST_STEMS = 5, 12
# Percent to take off what does not stand on its own.
_DATA, _SMALL_TALK, _QUESTION, _FRAGMENT, _TO_THE_OTHER = 90, 85, 70, 50, 35

_FENCE = re.compile(r"\s*(```|~~~)")
_BULLET = re.compile(r"^[\s#>*\u2022\u2013-]+(?=\S)")
_MARK = re.compile(r"[{}\[\]<>=;|\\/_`@#$%^&*+~\"]")
_WORD = re.compile(r"\S+")
_QUOTED = "\"'\u201d\u2019)!"
_QUESTION_MARKS = ("?", "\uff1f", "\u061f")


def _any_of(phrases: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{phrases})\b", re.IGNORECASE)


_GREETING = _any_of(
    "hi|hello|hey|good (?:morning|evening|afternoon|night)|thanks?(?: you)?|thx|ok(?:ay)?|sure|great|nice|cool|wow|bye"
    r"|see you|you're welcome|no problem|got it|sounds good|of course|haha\w*|lol|how can i help|let me know"
    "|hallo|danke|hola|gracias|ol\u00e1|obrigad[oa]|ciao|grazie|bonjour|salut|merci"
)
_FIRST_PERSON = _any_of("(?:i|we)(?:'(?:m|ve|d|ll|re))?|me|my|mine|us|our|ours")
_SECOND_PERSON = _any_of("you|your|yours|you're|you've|you'd|you'll|let's")
_ENGLISH = _any_of("the|and|of|to|with|this|that|are|were|been|has|have|had|not")

# Each cue, and how much it adds to a sentence's weight, in percent.
_CUES = {
    "number": (20, re.compile(r"\d")),
    # A capital inside a sentence.
    "name": (20, re.compile(r"(?<=[\w,;:')] )(?!I\b)[^\W\d_a-z\u00df-\u00ff][\w'-]+")),
    "preference": (
        35,
        _any_of(
            r"prefer\w*|love[sd]?|like[sd]?|enjoy\w*|hate[sd]?|dislike[sd]?|favou?rites?|allerg\w+|always|never|rather"
            "|can't stand|interested in|fan of"
        ),
    ),
    "correction": (
        45,
        _any_of(
            "actually|no longer|any ?more|instead|changed|correction|i meant|turns out|used to|switched|moved|not true"
            "|was wrong|as of|from now on"
        ),
    ),
    "decision": (
        35,
        _any_of(
            "decided?|agreed|going to|plan(?:s|ned|ning)?|(?:we|i)'ll|will|deadline|must|need(?:s|ed)? to"
            "|promised?|scheduled|booked|signed|chose|approved|due"
        ),
    ),
    "time": (
        25,
        _any_of(
            "yesterday|today|tonight|tomorrow|(?:last|next|this) (?:night|week|weekend|month|year|summer|winter|spring)"
            "|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|june|july|august|september|october"
            "|november|december|ago|since|until"
        ),
    ),
    "personal": (25, _any_of("my|our|i'm|i am|i've|i have|i was|i work|i live|name is|born|birthday")),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text` is a verbatim part of its event's content. `weight` is in percent of a plain sentence of a user's, with
    `doubt` already taken off.
    """

    author: str
    text: str
    terms: tuple[int, ...]
    cues: frozenset[str]
    weight: int
    doubt: int

    @property
    def telling(self) -> bool:
        return self.doubt <= _TO_THE_OTHER

    @property
    def idle(self) -> bool:
        """Small talk or data: quoted only where nothing else was said."""
        return self.doubt >= _SMALL_TALK

    @property
    def first_person(self) -> bool:
        """Whether it can only be understood with its author's name: also where the language is not known to us."""
        return bool(_FIRST_PERSON.search(self.text)) or not _ENGLISH.search(self.text)


def sentences(events: list[Mapping[str, str]]) -> list[Sentence]:
    """Every sentence that has a letter or digit, in the order of the log, without repetitions."""
    found: dict[str, Sentence] = {}
    for event in events:
        for text in _split(event["content"]):
            if text not in found:
                found[text] = _weighed(event["author"], event["type"], text)
    return list(found.values())


def _split(content: str) -> Iterator[str]:
    # Lone surrogates cannot be handed to the segmenter.
    encodable = content[:LONGEST_EVENT].encode("utf-8", "replace").decode()
    for line in _prose(encodable):
        for part in sentencex.segment("en", line):
            text = _cut(_BULLET.sub("", part).strip())
            if any(map(str.isalnum, text)):
                yield text


def _prose(content: str) -> Iterator[str]:
    """The lines outside code fences; all of them, if there is nothing else."""
    outside, fenced = [], False
    lines = content.splitlines()
    for line in lines:
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            outside.append(line)
    yield from outside if any(map(str.strip, outside)) else lines


def _cut(text: str) -> str:
    if len(text) <= LONGEST_QUOTE:
        return text
    head = text[:LONGEST_QUOTE]
    return head.rsplit(None, 1)[0] if " " in head else head


def _weighed(author: str, event_type: str, text: str) -> Sentence:
    cues = frozenset(name for name, (_, pattern) in _CUES.items() if pattern.search(text))
    stems = tuple(dict.fromkeys(terms(text)))
    doubt = _doubt(text)
    gain = 100 + sum(_CUES[name][0] for name in cues) + _PER_STEM * min(len(stems), _MOST_STEMS)
    weight = gain * _ROLES.get(event_type, _OTHER_ROLE) * (100 - doubt) // 10_000
    return Sentence(author, text, stems, cues, weight, doubt)


def _doubt(text: str) -> int:
    words = len(_WORD.findall(text))
    if len(_MARK.findall(text)) * 10 > len(text):
        return _DATA
    if _GREETING.match(text) and words < 9:
        return _SMALL_TALK
    if text.rstrip(_QUOTED).endswith(_QUESTION_MARKS):
        return _QUESTION
    if words < 4 and text.isascii():
        return _FRAGMENT
    return _TO_THE_OTHER if _SECOND_PERSON.search(text) else 0
