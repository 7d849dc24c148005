"""compile(view, budget, now) -> pack: which lines go in. Pure given the rows it reads.

Pending events (no memory holds them yet) take up to 15 % of the budget first, so that what was just said is never
missing; then memories of the current session, up to a quarter; the rest goes to long-term memories and, above all, to
the verbatim events behind them, by rank. What one part leaves over flows to the next.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from api.packs.render import CONTEXT, MEMORIES, SESSION, Line, ago, day_heading, line_tokens, section, text_tokens

PENDING_SHARE, SESSION_SHARE = 0.15, 0.25
SUMMARY_SHARE = 0.05  # of the long-term part: summaries point, the events behind them are the evidence
MISSES = 8  # so many lines in a row that do not fit: what is left is too small to look for more
SPARE = 4  # tokens kept back for what counting line by line may miss


@dataclass(frozen=True)
class View:
    """Candidates, best first; `pending` newest first. `events` may be a generator: it is read as far as they fit."""

    pending: Sequence[Line]
    session: Sequence[Line]
    memories: Sequence[Line]
    events: Iterable[Line]
    last_event_at: datetime | None


@dataclass(frozen=True)
class Compiled:
    content: str
    token_count: int
    lines: list[Line]


class _Part:
    """One section being filled: a line pays for itself, and the first line of a day for the day's heading."""

    def __init__(self, heading: str) -> None:
        self.heading, self.lines = heading, list[Line]()
        self.days: set[date] = set()
        self.ids: set[object] = set()
        self.texts: set[str] = set()  # what was said twice in the same words is told once

    def price(self, line: Line) -> int:
        price = line.tokens
        if line.day not in self.days:
            price += line_tokens(day_heading(line.day))
        return price if self.lines else price + line_tokens(self.heading)

    def fill(self, candidates: Iterable[Line], budget: int, most: int | None = None) -> int:
        """Take what fits, in the order given; returns the tokens spent.

        With `most`, so many at most, and none beyond the first that does not fit: few places are for the best, not for
        the shortest. Without, what does not fit is passed over.
        """
        spent = taken = missed = 0
        for line in candidates:
            price = self.price(line)
            missed = missed + 1 if spent + price > budget else 0
            if missed == MISSES or (most is not None and (missed or taken >= most)):
                break
            if not missed and line.id not in self.ids and line.markdown not in self.texts:
                self.lines.append(line)
                self.days.add(line.day)
                self.ids.add(line.id)
                self.texts.add(line.markdown)
                spent += price
                taken += 1
        return spent


def compile_pack(view: View, budget: int, now: datetime, *, session: int, long_term: int) -> Compiled:
    """`session` and `long_term` limit the memories of each part. Equal arguments give equal bytes."""
    left = budget - SPARE
    current, relevant = _Part(SESSION), _Part(MEMORIES)
    left -= current.fill(view.pending, int(PENDING_SHARE * left))
    left -= current.fill(view.session, int(SESSION_SHARE * left), session)
    context = [] if current.lines or view.last_event_at is None else _context(view.last_event_at, now)
    left -= sum(map(line_tokens, context))
    relevant.ids |= current.ids
    left -= relevant.fill(view.memories, int(SUMMARY_SHARE * left), long_term)
    left -= relevant.fill(view.events, left)
    left -= relevant.fill(view.memories, left, long_term - sum(line.kind == "memory" for line in relevant.lines))
    return _fitted(current, context, relevant, budget)


def _context(last_event_at: datetime, now: datetime) -> list[str]:
    return [CONTEXT, f"Last event {ago(last_event_at, now)}."]


def _fitted(current: _Part, context: list[str], relevant: _Part, budget: int) -> Compiled:
    """The text and its tokens. Should it exceed the budget after all, the last line taken goes first."""
    while True:
        written = section(SESSION, current.lines) if current.lines else list(context)
        if relevant.lines:
            written += section(MEMORIES, relevant.lines)
        tokens = text_tokens(written)
        if tokens <= budget:
            return Compiled("\n".join(written), tokens, [*current.lines, *relevant.lines])
        (relevant.lines or current.lines).pop()
