"""What a window is turned into, and how it is shown to a language model."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints

from agents.llm.model import Call
from agents.llm.prompt import prompt

VERSION = 1

_SPEAKERS = {"message.in": "user", "message.out": "assistant", "tool.call": "tool", "tool.result": "tool"}


class WindowEvent(Protocol):
    """What a synthesis reads of an event."""

    @property
    def author(self) -> str | None: ...
    @property
    def event_type(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def session_id(self) -> str | None: ...


def without_nul(text: object) -> object:
    """PostgreSQL's text holds every character but this one."""
    return text.replace("\x00", "") if isinstance(text, str) else text


Summary = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000), BeforeValidator(without_nul)
]
Content = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000), BeforeValidator(without_nul)
]


class Synthesis(BaseModel):
    """One memory, as a model proposes it."""

    model_config = ConfigDict(frozen=True)

    summary: Summary = Field(description="One or two sentences that stand on their own.")
    content: Content = Field(description="The details, with verbatim quotes, each on a line `author: quote`.")
    importance: float = Field(ge=0, le=1, description="How much it matters later, 0 to 1.")
    confidence: float = Field(ge=0, le=1, description="How sure it is that the memory is right, 0 to 1.")


def synthesis_call(events: Iterable[WindowEvent], model: str) -> Call[Synthesis]:
    """The call that turns a window's events, in their order in the log, into a memory. Equal events, equal call."""
    return Call(prompt("synthesize", VERSION), [shown(event) for event in events], Synthesis, model)


def shown(event: WindowEvent) -> JsonValue:
    """One event as the model sees it. The time is in UTC, to the second."""
    return {
        "at": event.occurred_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "session": event.session_id,
        "type": event.event_type,
        "author": speaker(event),
        "content": event.content,
    }


def speaker(event: WindowEvent) -> str:
    """The author's name on one line; without a name, the part that the type of event gives it."""
    name = " ".join((event.author or "").split())[:80].strip()
    return name or _SPEAKERS.get(event.event_type, "system")
