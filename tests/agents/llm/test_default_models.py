"""Who sets no model gets one that the installed client libraries know."""

from typing import Any, get_args

import anthropic.types
import openai.types
import pytest

from agents.embeddings.openai import MODEL
from agents.llm.provider import DEFAULT_MODELS
from stack.settings import LLMProvider


def names(known: Any) -> set[Any]:
    """The literals of a client library's type, however they are nested in unions."""
    inner = get_args(known)
    return {known} if not inner else set().union(*map(names, inner))


@pytest.mark.parametrize(
    ("default", "known"),
    [
        (DEFAULT_MODELS[LLMProvider.anthropic], anthropic.types.Model),
        (DEFAULT_MODELS[LLMProvider.openai], openai.types.ChatModel),
        (MODEL, openai.types.EmbeddingModel),
    ],
)
def test_a_default_model_is_one_that_its_client_names(default: str, known: Any) -> None:
    assert default in names(known)


def test_every_provider_with_a_key_has_a_default_model() -> None:
    assert set(DEFAULT_MODELS) == set(LLMProvider) - {LLMProvider.extractive}
