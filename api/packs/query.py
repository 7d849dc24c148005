"""What a question names, read from its text alone: who said it, and when.

A small encoder is pulled towards every text that mentions a name that the question mentions. So authors' names go to
the ranking by themselves, and the text that is embedded says "someone" in their place.
"""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from agents.words import STOP_WORDS

DAY_S = 86_400
# People tell in the days after what happened, and a date may be meant in another time zone.
TOLD_BEFORE, TOLD_AFTER = timedelta(days=1), timedelta(days=7)

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _MONTHS) + "|sept"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_CALENDAR = [
    re.compile(rf"\b{_YEAR}-(?P<number>\d\d)(?:-(?P<day>\d\d))?\b"),
    re.compile(rf"\b{_DAY}(?: of)? (?P<month>{_MONTH})\b\.?(?:,? {_YEAR}\b)?", re.IGNORECASE),
    re.compile(rf"\b(?P<month>{_MONTH})\.? {_DAY}\b(?:,? {_YEAR}\b)?", re.IGNORECASE),
    re.compile(rf"\b(?P<month>{_MONTH})\.?,? {_YEAR}\b", re.IGNORECASE),
    # `may` and `march` alone are months only with a capital, and never as the first word.
    re.compile(rf"(?<=\s)(?P<month>(?-i:(?=[A-Z]))(?:{_MONTH}))\b", re.IGNORECASE),
    re.compile(rf"\b(?:in|of|since|during|before|after|by) {_YEAR}\b", re.IGNORECASE),
]
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_UNIT = r"(?P<unit>day|week|month|year)"
_AGO = re.compile(rf"\b(?P<count>\d{{1,3}}|{'|'.join(_COUNTS)}) {_UNIT}s? ago\b", re.IGNORECASE)
_LATELY = re.compile(rf"\b(?:(?P<day>today|yesterday)|(?P<which>this|last|past) {_UNIT})\b", re.IGNORECASE)
_UNIT_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


def embedding_text(question: str, author_names: Iterable[str]) -> str:
    """The question with "someone" for each author whom it names; this, not the question, is embedded."""
    spellings = [spelling for name in author_names for spelling in _named_as(name, question)]
    if not spellings:
        return question
    names = "|".join(pattern.pattern for pattern in sorted(spellings, key=lambda pattern: -len(pattern.pattern)))
    return re.sub(rf"(?:\bthe\s+)?(?:{names})", "someone", question, flags=re.IGNORECASE)


def named_authors(question: str, author_names: Sequence[str]) -> frozenset[int]:
    """The positions in `author_names` of those whom the question names: in full or, for a name of several words, by
    one.
    """
    return frozenset(at for at, name in enumerate(author_names) if _named_as(name, question))


def _named_as(name: str, question: str) -> list[re.Pattern[str]]:
    folded = question.casefold()
    spellings = (spelling for spelling in _spellings(name) if spelling.casefold() in folded)
    return [pattern for spelling in spellings if (pattern := _pattern(spelling)).search(question)]


def _spellings(name: str) -> list[str]:
    """A person is also named by one word of the name. Identifiers are not: nobody means `search_tool` by `search`."""
    whole = " ".join(name.split())
    parts = [part for part in whole.split(" ") if part[:1].isupper()]
    return [spelling for spelling in dict.fromkeys([whole, *parts]) if len(spelling) > 1]


@lru_cache(maxsize=4096)
def _pattern(spelling: str) -> re.Pattern[str]:
    """A name that is also a common word (Will) counts only in its own spelling and after the first word."""
    words = re.escape(spelling).replace(r"\ ", r"\s+")
    if spelling.casefold() in STOP_WORDS:
        return re.compile(rf"(?<=\w\s)(?-i:{words})(?!\w)" if spelling[0].isupper() else r"(?!)")
    return re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)


def named_times(question: str, now: datetime) -> tuple[tuple[int, int], ...]:
    """When what the question dates may have been told: (first, last) second since 1970, by their beginnings.

    Understood are English dates, months and years, ISO dates, "today", "yesterday", "last week", "three months ago" and
    the like. A date without a year has the year that the question gives another, else it is the latest before `now`.
    """
    today = now.astimezone(UTC).date()
    spans = {*_calendar(question, today), *_relative(question, today)}
    return tuple(sorted((_second(first, -TOLD_BEFORE), _second(last, TOLD_AFTER) + DAY_S - 1) for first, last in spans))


def _second(day: date, shift: timedelta) -> int:
    return (day - date(1970, 1, 1) + shift) // timedelta(seconds=1)


def _calendar(question: str, today: date) -> Iterator[tuple[date, date]]:
    years = {int(year) for year in re.findall(_YEAR.replace("?P<year>", ""), question)}
    usual = years.pop() if len(years) == 1 else None
    for pattern in _CALENDAR:
        found = list(pattern.finditer(question))
        for match in found:
            if span := _span(match.groupdict(), usual, today):
                yield span
        if found:  # what one form has read, the next must not read again as something shorter
            question = pattern.sub("\n", question)


def _span(parts: dict[str, str | None], usual: int | None, today: date) -> tuple[date, date] | None:
    month, day = _month(parts), int(parts.get("day") or 0)
    year = int(parts.get("year") or usual or today.year - ((month, day) > (today.month, today.day)))
    if month == 0:
        return date(year, 1, 1), date(year, 12, 31)
    if month > 12 or day > monthrange(year, month)[1]:
        return None
    return date(year, month, day or 1), date(year, month, day or monthrange(year, month)[1])


def _month(parts: dict[str, str | None]) -> int:
    """1 to 12 (or what an ISO date claims), 0 for none."""
    if name := parts.get("month"):
        return 1 + next(at for at, month in enumerate(_MONTHS) if month.startswith(name[:3].lower()))
    return int(parts.get("number") or 0)


def _relative(question: str, today: date) -> Iterator[tuple[date, date]]:
    for match in _AGO.finditer(question):
        count, days = match["count"].lower(), _UNIT_DAYS[match["unit"].lower()]
        then = _days_before(today, days * (_COUNTS.get(count) or int(count)))
        # "three months ago" is meant to within half a month.
        yield _days_before(then, days // 2), then + timedelta(days=days // 2)
    for match in _LATELY.finditer(question):
        if match["day"]:
            then = _days_before(today, match["day"].lower() == "yesterday")
            yield then, then
        else:
            days = _UNIT_DAYS[match["unit"].lower()]
            yield _days_before(today, days if match["which"].lower() == "this" else 2 * days), today


def _days_before(day: date, days: int) -> date:
    return day - timedelta(days=days)
