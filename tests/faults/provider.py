"""A model provider on this machine: OpenAI's wire formats for chat and embeddings, deterministic, and faulty on demand.

It keeps the account that a provider would bill from: which request was received and answered when.
"""

import asyncio
import hashlib
import json
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

DIMENSIONS, VECTORS = 1536, 500
PATIENCE = 2
# Prompt tokens of a reply that can be used; one that cannot costs 1. So the ledger's sum tells how many were bought.
VALID_TOKENS = 1_000

Answer = Callable[["Provider", web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


@dataclass
class Billed:
    """One request for a completion. `answered_at` is None unless a whole, valid reply left the server."""

    key: str
    received_at: float
    answered_at: float | None = None
    over: bool = False


@dataclass
class Provider:
    """`harm` holds answers that the next requests get instead of a good one: `chat` and `embeddings` have a queue each.

    No request is harmed more than `PATIENCE` times, so that a client that tries often enough gets its reply.
    """

    url: str = ""
    delay_s: float = 0.01
    harm: dict[str, deque[Answer]] = field(default_factory=lambda: {"chat": deque(), "embeddings": deque()})
    harmed: Counter[str] = field(default_factory=Counter)
    account: list[Billed] = field(default_factory=list)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def in_flight(self) -> int:
        """Requests for a completion that are being answered now."""
        return sum(not one.over for one in self.account)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        billed = Billed(key(body), time.time())
        self.account.append(billed)
        try:
            if (harm := self._harm("chat", billed.key)) is not None:
                return await harm(self, request, body)
            await asyncio.sleep(self.delay_s)
            return await sold(request, billed, written(body))
        finally:
            billed.over = True

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if (harm := self._harm("embeddings", key(body))) is not None:
            return await harm(self, request, body)
        return web.Response(text=embedded(body["input"]), content_type="application/json")

    def _harm(self, endpoint: str, key: str) -> Answer | None:
        if self.harmed[key] >= PATIENCE or not self.harm[endpoint]:
            return None
        self.harmed[key] += 1
        return self.harm[endpoint].popleft()


async def sold(request: web.Request, billed: Billed, text: str) -> web.StreamResponse:
    """A reply that can be used, and is billed once it has been sent."""
    response = web.json_response(completion(text))
    await response.prepare(request)
    await response.write_eof()
    billed.answered_at = time.time()
    return response


def key(body: dict[str, Any]) -> str:
    """What makes two requests the same: everything in them."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def written(body: dict[str, Any]) -> str:
    """The memory of a window: a function of its events alone."""
    said = next(turn["content"] for turn in body["messages"] if turn["role"] == "user")
    digest = hashlib.sha256(said.encode()).hexdigest()
    try:
        events = json.loads(said)
    except json.JSONDecodeError:
        events = []
    lines = [f"{one.get('author') or 'someone'}: {one['content'][:80]}" for one in events[:3]]
    memory = {
        "summary": f"{len(events)} things were said, the first of them: {lines[0] if lines else digest[:8]}",
        "content": "\n".join(lines) or digest,
        "importance": int(digest[:2], 16) / 255,
        "confidence": 0.5 + int(digest[2:4], 16) / 510,
    }
    return json.dumps(memory)


def completion(text: str, tokens: int = VALID_TOKENS) -> dict[str, Any]:
    """A reply of the Chat Completions API, for so many prompt tokens."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "scripted", "choices": [choice]}
    return body | {"usage": {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}}


def _vectors() -> list[str]:
    dice = random.Random("vectors")
    return [json.dumps([round(dice.gauss(0, 1), 4) for _ in range(DIMENSIONS)]) for _ in range(VECTORS)]


_POOL = _vectors()


def embedded(texts: list[str]) -> str:
    """A reply of the Embeddings API: one of a few hundred vectors per text, chosen by the text."""
    entries = (
        f'{{"object":"embedding","index":{number},"embedding":'
        f"{_POOL[int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % VECTORS]}}}"
        for number, text in enumerate(texts)
    )
    usage = '{"prompt_tokens":1,"total_tokens":1}'
    return f'{{"object":"list","model":"scripted","data":[{",".join(entries)}],"usage":{usage}}}'


@asynccontextmanager
async def providing() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application(client_max_size=64_000_000)
    app.router.add_post("/v1/chat/completions", provider.chat)
    app.router.add_post("/v1/embeddings", provider.embeddings)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    provider.url = f"http://{host}:{port}/v1"
    try:
        yield provider
    finally:
        provider.closing.set()
        await runner.cleanup()
