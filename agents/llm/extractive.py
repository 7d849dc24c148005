"""A memory without a language model: the most telling sentences of the window, quoted.

Selection is SumBasic (Nenkova and Vanderwende, "The Impact of Frequency on Summarization", MSR-TR-2005-101) over
stems, weighted by the cues in `sentences`. It adds, multiplies and divides only, in a fixed order, so that IEEE 754
makes the result the same on every machine. The library that has this algorithm, sumy, takes 45 MB with its toolkit.
"""

from collections import Counter
from collections.abc import Mapping
from typing import cast

from agents.llm.errors import WrongSettingError
from agents.llm.model import Call, Reply, T
from agents.llm.sentences import Sentence, sentences
from agents.llm.synthesis import Synthesis

MOST_QUOTES = 6
FEWEST_QUOTES = 3
SUMMARY_WORDS = 40
SUMMARY_CHARACTERS = 300

# Hundredths of importance for each kind of cue in the two best sentences, on top of _PLAIN; all together give 0.95.
_IMPORTANCE = {
    "number": 5,
    "name": 8,
    "time": 5,
    "preference": 16,
    "correction": 16,
    "decision": 15,
    "personal": 10,
}
_PLAIN = 20
_NOTHING_TELLING = 10
_NOBODY_SPOKE = 35
_LEAST_CONFIDENCE = 40

# The last four are the ideographic full stop, the full-width ! and ?, and the danda.
_ENDS = ".!?\u2026\"'\u201d\u2019)}]\u061f\u3002\uff01\uff1f\u0964"


class Extractive:
    """Costs nothing and always gives the same reply, so it is neither metered nor recorded."""

    name = "extractive/sumbasic"
    metered = False

    async def complete(self, call: Call[T]) -> Reply[T]:
        if not issubclass(call.reply_type, Synthesis):
            raise WrongSettingError(f"ELEPHANTASM_LLM_PROVIDER=extractive cannot answer {call.prompt.name!r}")
        memory = extract(cast(list[Mapping[str, str]], call.input))
        return Reply(call.reply_type.model_validate(memory.model_dump()), memory.model_dump_json())


def extract(events: list[Mapping[str, str]]) -> Synthesis:
    """The memory of a window's events, each with `author`, `type` and `content`."""
    found = sentences(events)
    if not found:
        return _silent(events)
    frequency = Counter(term for sentence in found for term in sentence.terms)
    chosen = _choose(found, frequency)
    quotes = [sentence for sentence in found if sentence in chosen]
    return Synthesis(
        summary=_summary(chosen, found),
        content="\n".join(f"{sentence.author}: {sentence.text}" for sentence in quotes),
        importance=_importance(chosen[:2], events) / 100,
        confidence=_confidence(quotes, frequency) / 100,
    )


def _choose(found: list[Sentence], frequency: Counter[int]) -> list[Sentence]:
    """The best sentences, best first. A term that has been quoted loses its pull: its probability is squared."""
    left = _candidates(found)
    total = sum(frequency.values()) or 1
    probability = {term: count / total for term, count in frequency.items()}
    chosen: list[Sentence] = []
    for _ in range(min(MOST_QUOTES, max(FEWEST_QUOTES, (len(left) + 1) // 2), len(left))):
        best = _best(left, probability)
        left.remove(best)
        chosen.append(best)
        probability.update({term: probability[term] ** 2 for term in best.terms})
    return chosen


def _candidates(found: list[Sentence]) -> list[Sentence]:
    """What tells something; if that is too little, questions and fragments too; if that is nothing, everything."""
    telling = [sentence for sentence in found if sentence.telling]
    if len(telling) >= FEWEST_QUOTES:
        return telling
    return [sentence for sentence in found if not sentence.idle] or list(found)


def _best(left: list[Sentence], probability: dict[int, float]) -> Sentence:
    """`max` keeps the first of equals, which is the one said first."""
    return max(left, key=lambda sentence: sentence.weight * (1 / 50 + _pull(sentence, probability)))


def _pull(sentence: Sentence, probability: dict[int, float]) -> float:
    """Mean probability of its terms; two more in the divisor keep single words from winning."""
    return sum([probability[term] for term in sentence.terms]) / (len(sentence.terms) + 2)


def _summary(chosen: list[Sentence], found: list[Sentence]) -> str:
    """The best sentence, and the next best that still fits, in the order in which they were said."""
    first = chosen[0]
    room = SUMMARY_WORDS - _words(first)
    second = next((s for s in chosen[1:] if _words(s) <= room and len(s.text + first.text) < SUMMARY_CHARACTERS), None)
    told = [s for s in found if s is first or (s is second and s.telling)]
    parts, speaker = [], None
    for sentence in told:
        named = sentence.first_person and sentence.author != speaker
        parts.append(f"{sentence.author}: {_whole(sentence.text)}" if named else _whole(sentence.text))
        speaker = sentence.author if named else speaker
    return " ".join(parts)


def _words(sentence: Sentence) -> int:
    return len(sentence.text.split())


def _whole(text: str) -> str:
    """With a full stop if it has no end, and an ellipsis if it is too long for a summary."""
    short = " ".join(text.split(" ")[:SUMMARY_WORDS])[:SUMMARY_CHARACTERS].rstrip()
    if short != text:
        return short.rstrip(",;:") + "…"
    return text if text[-1] in _ENDS else text + "."


def _importance(best: list[Sentence], events: list[Mapping[str, str]]) -> int:
    if not any(sentence.telling for sentence in best):
        return _NOTHING_TELLING
    cues = {cue for sentence in best for cue in sentence.cues}
    importance = _PLAIN + sum(_IMPORTANCE[cue] for cue in cues)
    spoken = any(event["type"].startswith("message.") for event in events)
    return importance if spoken else min(importance, _NOBODY_SPOKE)


def _confidence(quotes: list[Sentence], frequency: Counter[int]) -> int:
    """Quotes are right, but may leave out what matters: from 0.4, up to 0.8 if they hold all that the window says."""
    if not any(sentence.telling for sentence in quotes):
        return _LEAST_CONFIDENCE
    covered = {term for sentence in quotes for term in sentence.terms}
    total = sum(frequency.values()) or 1
    return _LEAST_CONFIDENCE + 40 * sum(frequency[term] for term in covered) // total


def _silent(events: list[Mapping[str, str]]) -> Synthesis:
    types = ", ".join(sorted({event["type"] for event in events})) or "no type"
    told = f"Nothing was said in this window ({types})."[:SUMMARY_CHARACTERS]
    return Synthesis(summary=told, content=told, importance=0, confidence=_LEAST_CONFIDENCE / 100)
