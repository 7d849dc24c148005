"""How a server may answer a request for embeddings: as it should, and in every way that it should not."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from aiohttp import web

from agents.embeddings.openai import DIMENSIONS
from tests.agents.llm.wire import Answer, raw, reset, status


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Depends on the text alone; its length is not 1."""
    drawn: list[float] = np.random.default_rng(list(text.encode())).standard_normal(dimensions).tolist()
    return drawn


def embeddings(change: Callable[[list[dict[str, Any]]], Any] = lambda entries: entries) -> Answer:
    """A reply of OpenAI's embeddings API to whatever is asked; `change` spoils its entries."""

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        entries = [
            {"object": "embedding", "index": index, "embedding": vector(text)}
            for index, text in enumerate(asked["input"])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        body = {"object": "list", "data": change(entries), "model": asked["model"], "usage": usage}
        return web.Response(text=json.dumps(body), content_type="application/json")

    return answer


def _each(entries: list[dict[str, Any]], change: Callable[[list[float]], Any]) -> list[dict[str, Any]]:
    return [entry | {"embedding": change(entry["embedding"])} for entry in entries]


# What passes by itself, as far as anybody can know.
PASSING: dict[str, Answer] = {
    "connection reset in mid-reply": reset,
    "429": status(429, "slow down", {"retry-after": "7"}),
    "500": status(500),
    "529": status(529, "overloaded"),
    "truncated JSON": raw('{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.'),
    "JSON of another shape": raw('{"vectors": [[0.1, 0.2]]}'),
    "an entry of another shape": embeddings(lambda entries: [{"index": 0, "vector": [0.1]}]),
    "a page": raw("<html>Back in a minute.</html>", "text/html"),
    "too few vectors": embeddings(lambda entries: entries[:-1]),
    "every vector twice": embeddings(lambda entries: entries * 2),
    "no vectors": embeddings(lambda entries: []),
    "NaN in a vector": embeddings(lambda entries: _each(entries, lambda row: [math.nan, *row[1:]])),
    "infinity in a vector": embeddings(lambda entries: _each(entries, lambda row: [math.inf, *row[1:]])),
    "a vector of zeros": embeddings(lambda entries: _each(entries, lambda row: [0.0] * len(row))),
    "an empty reply": raw(""),
}
# What does not, with what the error has to speak of.
LASTING: dict[str, tuple[Answer, str]] = {
    "401": (status(401, "wrong key"), "ELEPHANTASM_OPENAI_API_KEY was not accepted"),
    "no credit": (status(429, "pay first", code="insufficient_quota"), "no credit"),
    "an unknown model": (status(404, "no such model"), "ELEPHANTASM_LLM_BASE_URL=.* has no model text-embedding-3"),
    "400": (status(400, "input is too odd"), "answered 400: .*input is too odd"),
    "another model's dimensions": (
        embeddings(lambda entries: _each(entries, lambda row: row[:768])), "768 dimensions: .* has 1536",
    ),
}  # fmt: skip
