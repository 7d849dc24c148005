"""A pack as Markdown: sections, a heading per day, a line per item, in the order of time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from agents.tokens import count_tokens

SESSION, CONTEXT, MEMORIES = "## Current Session", "## Session Context", "## Relevant Memories"
LONGEST_SHARE = 4  # no line takes more than a quarter of the budget
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Line:
    """One item as it will stand in the pack. `tokens` includes the line break."""

    kind: Literal["event", "memory"]
    id: UUID
    at: datetime
    seq: int
    text: str
    markdown: str
    tokens: int
    reason: str
    scores: dict[str, float] = field(compare=False)
    lineage: dict[str, Any] = field(compare=False)
    day: date = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "day", self.at.astimezone(UTC).date())


def event_markdown(author: str | None, event_type: str, content: str) -> str:
    """One line, whatever line breaks the content has: nothing quoted can pass for a heading of ours."""
    return f"- {_flat(author or event_type)}: {_flat(content)}"


def memory_markdown(summary: str) -> str:
    return f"- Summary: {_flat(summary)}"


def _flat(text: str) -> str:
    return " ".join(text.split())


@lru_cache(maxsize=65_536)  # an anima's packs draw the same lines again and again
def line_tokens(line: str) -> int:
    """Tokens of a line and its line break. A line break ends a token unless white space or a slash follows, with which
    no line begins: so the tokens of lines add up to those of the text that they make.
    """
    return count_tokens(line + "\n")


def text_tokens(lines: Sequence[str]) -> int:
    """Tokens of the lines joined by line breaks, without one at the end."""
    return sum(map(line_tokens, lines[:-1])) + count_tokens(lines[-1]) if lines else 0


def shortened(markdown: str, budget: int) -> tuple[str, int]:
    """The line, cut with an ellipsis if it would take more than its share of the budget; and its tokens."""
    limit = max(60, budget // LONGEST_SHARE)
    # A token has four bytes on average and never fewer than one: what is far too long is not counted whole.
    cut = markdown[: limit * 16]
    tokens = line_tokens(cut)
    while tokens > limit:
        cut = cut[: max(20, len(cut) * limit // (tokens + 1) - 1)].rstrip() + ELLIPSIS
        tokens = line_tokens(cut)
    if len(cut) < len(markdown) and not cut.endswith(ELLIPSIS):
        cut = cut.rstrip() + ELLIPSIS
        tokens = line_tokens(cut)
    return cut, tokens


@lru_cache(maxsize=8192)
def day_heading(day: date) -> str:
    return f"### {day.day} {day:%B %Y}"


def ago(then: datetime, now: datetime) -> str:
    """How long before `now`, in the words of a person."""
    hours = (now - then).total_seconds() / 3600
    if hours < 1:
        return "under an hour ago"
    if hours < 24:
        return f"{int(hours)} hour{'s' if hours >= 2 else ''} ago"
    days = int(hours // 24)
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days < 14 else f"{days // 7} weeks ago"


def section(heading: str, lines: Sequence[Line]) -> list[str]:
    """A section's Markdown lines: one heading per day, everything in the order of time."""
    written = [heading]
    previous: date | None = None
    for line in sorted(lines, key=lambda line: (line.at, line.kind, line.seq)):
        if line.day != previous:
            written.append(day_heading(line.day))
            previous = line.day
        written.append(line.markdown)
    return written
