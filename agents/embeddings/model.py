"""The seam: texts in, vectors of length 1 out."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from agents.embeddings.minilm import DIMENSIONS, NAME, Vectors, build, load, weights_folder
from stack.settings import EmbeddingProvider, Settings, SettingsError


class EmbeddingModel(Protocol):
    name: str
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions), float32, rows of length 1. Raises ModelError (agents/llm/errors.py)."""


class Local:
    """all-MiniLM-L6-v2 in this process; built into the data directory at first use."""

    name, dimensions = NAME, DIMENSIONS

    def __init__(self, settings: Settings) -> None:
        built = settings.data_dir / "models" / NAME.replace("/", "-")
        build(weights_folder(), built)
        self.encode = load(built)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self.encode, texts)


def embedding_model(settings: Settings, limit_s: float) -> EmbeddingModel:
    """`limit_s` bounds one request to a provider. Raises SettingsError if a key is missing."""
    if settings.embedding_provider is EmbeddingProvider.local:
        return Local(settings)
    if settings.openai_api_key is None:
        raise SettingsError("ELEPHANTASM_OPENAI_API_KEY is not set, and ELEPHANTASM_EMBEDDING_PROVIDER=openai needs it")
    # Who does not use the client library does not load it.
    from agents.embeddings.openai import OpenAI

    key = settings.openai_api_key.get_secret_value()
    return OpenAI(api_key=key, base_url=settings.llm_base_url, limit_s=limit_s)
