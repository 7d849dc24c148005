"""Prompts: Markdown files `agents/prompts/<name>.v<N>.md` with TOML front matter between two lines `+++`."""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

_FENCE = "+++\n"


class Parameters(BaseModel):
    """The front matter. `max_tokens` bounds the visible reply; a model that thinks gets room for that besides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: str
    temperature: float = Field(ge=0, le=2)
    max_tokens: int = Field(ge=1)


@dataclass(frozen=True, slots=True)
class Prompt:
    """`hash` is the SHA-256 of `text` in hex: a changed comma makes a new prompt, another purpose does not."""

    name: str
    version: int
    text: str
    parameters: Parameters

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@cache
def prompt(name: str, version: int) -> Prompt:
    """The prompt in `<name>.v<version>.md`. Raises FileNotFoundError, or ValueError if the front matter is wrong."""
    return parse(name, version, (files("agents") / "prompts" / f"{name}.v{version}.md").read_text("utf-8"))


def parse(name: str, version: int, document: str) -> Prompt:
    """Raises ValueError naming the prompt and what is wrong with its front matter."""
    before, _, rest = document.partition(_FENCE)
    head, fence, text = rest.partition(_FENCE)
    if before or not fence:
        raise ValueError(f"prompt {name}.v{version}: front matter must stand between two lines +++ at the top")
    try:
        parameters = Parameters.model_validate(tomllib.loads(head))
    except ValueError as error:
        raise ValueError(f"prompt {name}.v{version}: {error}") from error
    return Prompt(name, version, text.strip() + "\n", parameters)
