"""The seam: what is asked of a language model and what it answers, whoever it is."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from agents.llm.errors import InvalidReplyError
from agents.llm.prompt import Prompt

# What a rejected reply may add to the next request, in characters: enough to be corrected, too little to pay for twice.
LONGEST_REJECTED = 8_000

T = TypeVar("T", bound=BaseModel)


class Turn(NamedTuple):
    role: Literal["user", "assistant"]
    text: str


class Usage(NamedTuple):
    """Tokens as the provider counted them."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A reply that broke the contract, and how."""

    raw: str
    problem: str


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One question. `model` is the name of the LanguageModel that is asked; `input` is its material, as JSON."""

    prompt: Prompt
    input: JsonValue
    reply_type: type[T]
    model: str
    rejected: Rejected | None = None

    @property
    def id(self) -> str:
        """SHA-256 in hex over model, prompt text, parameters and input: the key in the ledger. Attempts share it."""
        parameters = self.prompt.parameters
        asked: JsonValue = [self.model, self.prompt.hash, parameters.temperature, parameters.max_tokens, self.input]
        return hashlib.sha256(canonical(asked).encode()).hexdigest()

    @property
    def turns(self) -> Iterator[Turn]:
        """The conversation after the system prompt. It starts with the input alone, as a JSON document: there is no
        delimiter that the material could close.
        """
        yield Turn("user", readable(self.input))
        if self.rejected is not None:
            if self.rejected.raw.strip():
                yield Turn("assistant", self.rejected.raw)
            yield Turn("user", f"That reply cannot be used: {self.rejected.problem}\nReply with the JSON object alone.")

    def after(self, raw: str, problem: str) -> "Call[T]":
        """The same call, asked again with what was wrong with the last reply."""
        return replace(self, rejected=Rejected(raw[:LONGEST_REJECTED], problem[:LONGEST_REJECTED]))


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """`raw` is the JSON that `value` was read from; tokens and attempts include replies rejected on the way."""

    value: T
    raw: str
    input_tokens: int = 0
    output_tokens: int = 0
    latency_s: float = 0.0
    attempts: int = 1
    recorded: bool = False


class LanguageModel(Protocol):
    @property
    def name(self) -> str:
        """`provider/model`."""

    @property
    def metered(self) -> bool:
        """Whether calls cost money, and therefore belong in the ledger and under the budget."""

    async def complete(self, call: Call[T]) -> Reply[T]:
        """One attempt. Raises RetryLaterError, InvalidReplyError, RefusedError or WrongSettingError."""


def canonical(value: JsonValue) -> str:
    """One spelling per JSON value, in ASCII, so that any text (lone surrogates too) can be hashed and stored.
    Raises ValueError for NaN and infinities.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def readable(value: JsonValue) -> str:
    """JSON as a model should see it: the letters themselves, each element of a list on a line. Encodable as UTF-8."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(readable(element) for element in value) + "\n]"
    return _encodable(json.dumps(value, ensure_ascii=False))


def read(call: Call[T], text: str, usage: Usage) -> Reply[T]:
    """The reply in a model's text. Raises InvalidReplyError, with the problem in words that the model can act on."""
    raw = _encodable(_outermost_object(text))
    try:
        return Reply(call.reply_type.model_validate_json(raw), raw, *usage)
    except ValidationError as error:
        raise invalid(_explain(error) if text.strip() else "it is empty", text, usage) from error


def invalid(problem: str, text: str, usage: Usage) -> InvalidReplyError:
    return InvalidReplyError(problem, raw=_encodable(text), **usage._asdict())


def _encodable(text: str) -> str:
    """Lone surrogates, which JSON can carry and UTF-8 cannot, become question marks."""
    return text.encode("utf-8", "replace").decode()


def _outermost_object(text: str) -> str:
    """Servers that ignore the asked-for format put a code fence or a sentence around the object."""
    return text[text.find("{") : text.rfind("}") + 1] if "{" in text and "}" in text else text


def _explain(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'JSON'}: {e['msg']}" for e in error.errors(include_url=False))
