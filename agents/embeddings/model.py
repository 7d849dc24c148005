"""The seam: texts in, vectors of length 1 out."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from agents.embeddings.minilm import DIMENSIONS, NAME, Vectors, build, load, weights_folder
from stack.settings import EmbeddingProvider, Settings, SettingsError

OPENAI_MODEL, OPENAI_DIMENSIONS, OPENAI_TEXTS = "text-embedding-3-small", 1536, 256


class EmbeddingModel(Protocol):
    name: str
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions), float32, rows of length 1."""


class Local:
    """all-MiniLM-L6-v2 in this process; built into the data directory at first use."""

    name, dimensions = NAME, DIMENSIONS

    def __init__(self, settings: Settings) -> None:
        built = settings.data_dir / "models" / NAME.replace("/", "-")
        build(weights_folder(), built)
        self.encode = load(built)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self.encode, texts)


class OpenAI:
    """text-embedding-3-small. The client retries rate limits and server errors itself, with backoff."""

    name, dimensions = f"openai/{OPENAI_MODEL}", OPENAI_DIMENSIONS

    def __init__(self, settings: Settings) -> None:
        from openai import AsyncOpenAI

        if settings.openai_api_key is None:
            raise SettingsError(
                "ELEPHANTASM_OPENAI_API_KEY is not set, and ELEPHANTASM_EMBEDDING_PROVIDER=openai needs it"
            )
        self.client = AsyncOpenAI(
            api_key=settings.openai_api_key.get_secret_value(),
            base_url=settings.llm_base_url,
            timeout=settings.llm_timeout_s,
            max_retries=settings.llm_attempts - 1,
        )

    async def embed(self, texts: Sequence[str]) -> Vectors:
        rows: list[list[float]] = []
        for start in range(0, len(texts), OPENAI_TEXTS):
            chosen = [text[:20_000] for text in texts[start : start + OPENAI_TEXTS]]  # the API takes 8,192 tokens
            reply = await self.client.embeddings.create(model=OPENAI_MODEL, input=chosen, encoding_format="float")
            rows += [entry.embedding for entry in sorted(reply.data, key=lambda entry: entry.index)]
        vectors = np.array(rows, np.float32).reshape(len(texts), self.dimensions)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def embedding_model(settings: Settings) -> EmbeddingModel:
    """Raises SettingsError if a key is missing."""
    if settings.embedding_provider is EmbeddingProvider.openai:
        return OpenAI(settings)
    return Local(settings)
