"""A model provider on this machine: OpenAI's wire formats for chat and embeddings, deterministic, and faulty on demand.

It keeps the account that a provider would bill from: which request was received and answered when.
"""

import asyncio
import hashlib
import json
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.agents.llm.wire import Answer, chat_completions, listening, raw

DIMENSIONS, VECTORS = 1536, 500
# Prompt tokens of a reply that can be used. One that cannot costs a tenth, so the ledger's sum tells what was bought.
VALID_TOKENS = 1_000
PATIENCE = 2


@dataclass
class Billed:
    """One request for a completion, in seconds since the epoch. `answered_at` is None unless there was a valid reply;
    `sent` says whether all of it left the server, or nobody was there any more; `over_at` is when it was dealt with.
    """

    key: str
    received_at: float
    answered_at: float | None = None
    sent: bool = False
    over_at: float | None = None


@dataclass
class Provider:
    """`harm` holds answers that the next requests get instead of a good one: `chat` and `embeddings` have a queue each.

    No request is harmed more than `PATIENCE` times, so that a client that tries often enough gets its reply. `told` is
    what each request was validly answered, by its key: the same again if it is asked again. A provider that begins
    with what another one told writes the same memories, harm or none.
    """

    url: str = ""
    delay_s: float = 0.01
    harm: dict[str, deque[Answer]] = field(default_factory=lambda: {"chat": deque(), "embeddings": deque()})
    harmed: Counter[str] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)
    account: list[Billed] = field(default_factory=list)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        request["said"] = said = json.loads(await _first_turn(request))
        request["billed"] = billed = Billed(key(said), time.time())
        self.account.append(billed)
        try:
            if (harm := self._harm("chat", billed.key)) is not None:
                return await harm(request)
            await asyncio.sleep(self.delay_s)
            return await self.memory(request)
        finally:
            billed.over_at = time.time()

    async def memory(self, request: web.Request, text: str | None = None) -> web.StreamResponse:
        """A valid reply, on the bill whoever is there to get it. It says `text`, unless it said otherwise before."""
        billed: Billed = request["billed"]
        told = self.told.setdefault(billed.key, text or written(request["said"]))
        response = await chat_completions(told, tokens=VALID_TOKENS)(request)
        billed.answered_at = time.time()
        with suppress(ConnectionError):
            await response.prepare(request)
            await response.write_eof()
            billed.sent = True
        return response

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        request["texts"] = texts = (await request.json())["input"]
        if (harm := self._harm("embeddings", key(texts))) is not None:
            return await harm(request)
        return await self.vectors(request)

    async def vectors(self, request: web.Request) -> web.StreamResponse:
        return await raw(embedded(request["texts"]))(request)

    def _harm(self, endpoint: str, key: str) -> Answer | None:
        if self.harmed[key] >= PATIENCE or not self.harm[endpoint]:
            return None
        self.harmed[key] += 1
        return self.harm[endpoint].popleft()


async def _first_turn(request: web.Request) -> str:
    """Of the conversation: the window. Corrections come after it."""
    turns = (await request.json())["messages"]
    return str(next(turn["content"] for turn in turns if turn["role"] == "user"))


def key(said: Any) -> str:
    """What makes two requests the same: the material, as JSON. The ledger has it too, without NUL, as `input`."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).replace("\\u0000", "").encode()).hexdigest()


def written(events: list[dict[str, Any]]) -> str:
    """The memory of a window: a function of its events alone."""
    digest = key(events)
    lines = [f"{one.get('author') or 'someone'}: {one['content'][:80]}" for one in events[:3]]
    memory = {
        "summary": f"{len(events)} things were said, the first of them: {lines[0]}",
        "content": "\n".join(lines),
        "importance": int(digest[:2], 16) / 255,
        "confidence": 0.5 + int(digest[2:4], 16) / 510,
    }
    return json.dumps(memory)


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
    async with listening(app, provider.closing) as address:
        provider.url = f"{address}/v1"
        yield provider
