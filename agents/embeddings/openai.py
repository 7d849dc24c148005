"""OpenAI's embeddings API, and the servers that speak it."""

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
import openai
from pydantic import BaseModel, ValidationError

from agents.embeddings.minilm import Vectors
from agents.llm.errors import RetryLaterError, WrongSettingError
from agents.llm.http_errors import Endpoint
from agents.llm.openai import BASE_URL, translated
from agents.tokens import counter
from streams.decode import explain

MODEL, DIMENSIONS = "text-embedding-3-small", 1536
# The API refuses longer texts, more texts, and more than 300,000 tokens in one request.
TEXT_TOKENS, REQUEST_TEXTS, REQUEST_TOKENS = 8_191, 256, 250_000


class OpenAI:
    """Asks once: how often to ask again, and how long to wait, differs between a stage and a request."""

    name, dimensions = f"openai/{MODEL}", DIMENSIONS

    def __init__(self, *, api_key: str, base_url: str | None, limit_s: float) -> None:
        self._limit_s = limit_s
        self._endpoint = Endpoint("ELEPHANTASM_OPENAI_API_KEY", MODEL, base_url or BASE_URL)
        self._client = openai.AsyncOpenAI(
            api_key=api_key, base_url=self._endpoint.base_url, timeout=limit_s, max_retries=0
        )

    async def embed(self, texts: Sequence[str]) -> Vectors:
        parts = [await self._answer(request) for request in requests(texts)]
        return np.concatenate([np.empty((0, DIMENSIONS), np.float32), *parts])

    async def _answer(self, texts: list[str]) -> Vectors:
        try:
            async with asyncio.timeout(self._limit_s):
                answer = await self._client.embeddings.with_raw_response.create(
                    model=MODEL, input=texts, encoding_format="float"
                )
        except TimeoutError as error:
            raise RetryLaterError(f"{self._endpoint.base_url} did not answer within {self._limit_s:g} s") from error
        except openai.NotFoundError as error:
            where = f"ELEPHANTASM_LLM_BASE_URL={self._endpoint.base_url!r}"
            raise WrongSettingError(f"{where} has no model {MODEL}: {error.message}") from error
        except openai.APIError as error:
            raise translated(error, self._endpoint) from error
        return vectors(answer.content, len(texts), self._endpoint)


def requests(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts, too long ones shortened, in requests that the API takes. Pure."""
    count = counter("cl100k_base")
    request, size = list[str](), 0
    for text in texts:
        while (tokens := count(text)) > TEXT_TOKENS:
            text = text[: len(text) * TEXT_TOKENS // tokens]
        if request and (len(request) == REQUEST_TEXTS or size + tokens > REQUEST_TOKENS):
            yield request
            request, size = [], 0
        request.append(text)
        size += tokens
    if request:
        yield request


class _Vector(BaseModel):
    index: int
    embedding: list[float]


class _Reply(BaseModel):
    data: list[_Vector]


def vectors(body: bytes, count: int, endpoint: Endpoint) -> Vectors:
    """What a reply says, in the order of its texts, each of length 1. Pure.

    Raises RetryLaterError for a broken reply, WrongSettingError for another model's.
    """
    try:
        entries = sorted(_Reply.model_validate_json(body).data, key=lambda entry: entry.index)
    except ValidationError as error:
        raise RetryLaterError(f"{endpoint.base_url} sent what are no embeddings: {explain(error)}") from error
    if [entry.index for entry in entries] != list(range(count)):
        raise RetryLaterError(f"{endpoint.base_url} sent {len(entries)} vectors for {count} texts")
    if other := {len(entry.embedding) for entry in entries} - {DIMENSIONS}:
        raise WrongSettingError(
            f"ELEPHANTASM_LLM_BASE_URL={endpoint.base_url!r} sends vectors of {min(other)} dimensions: {MODEL} has "
            f"{DIMENSIONS}"
        )
    found = np.array([entry.embedding for entry in entries], np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise RetryLaterError(f"{endpoint.base_url} sent a vector that has no direction")
    return np.asarray(found / lengths, np.float32)
