"""A server on this machine that speaks the wire formats of both providers, as scripted."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

MEMORY = {
    "summary": "Ines moved to Lisbon.",
    "content": "Ines: I moved to Lisbon",
    "importance": 0.7,
    "confidence": 0.9,
}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Wire:
    """`answers` are given one after the other, the last one for ever."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def will(self, *answers: Answer) -> None:
        self.answers = deque(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked(request.path, dict(request.headers), await request.json()))
        self.arrived.set()
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    def hang(self) -> Answer:
        async def answer(request: web.Request) -> web.Response:
            await self.closing.wait()
            return web.Response(status=500)

        return answer


@asynccontextmanager
async def serving() -> AsyncIterator[Wire]:
    wire = Wire()
    app = web.Application()
    app.router.add_post("/{path:.*}", wire.handle)
    async with listening(app, wire.closing) as wire.url:
        yield wire


@asynccontextmanager
async def listening(app: web.Application, closing: asyncio.Event) -> AsyncIterator[str]:
    """The URL of the server while it runs; `closing` lets go of answers that wait."""
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        closing.set()
        await runner.cleanup()


def status(number: int, message: str = "no", headers: dict[str, str] | None = None, **error: Any) -> Answer:
    """An error in the shape that both providers share."""

    async def answer(request: web.Request) -> web.Response:
        body = {"type": "error", "error": {"type": "some_error", "message": message, **error}}
        return web.json_response(body, status=number, headers=headers)

    return answer


def raw(body: str, content_type: str = "application/json") -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=body, content_type=content_type)

    return answer


def held(answer: Answer, gate: asyncio.Event) -> Answer:
    """An answer that is on its way until the gate opens."""

    async def later(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return await answer(request)

    return later


async def reset(request: web.Request) -> web.StreamResponse:
    """The connection breaks in the middle of the body."""
    response = web.StreamResponse(headers={"content-type": "application/json", "content-length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": "m')
    assert request.transport is not None
    request.transport.abort()
    return response


def messages_api(text: str, stop: str = "end_turn") -> Answer:
    """A reply of Anthropic's Messages API, with a thinking block before the text."""
    content = [{"type": "thinking", "thinking": "", "signature": "s"}, {"type": "text", "text": text}]
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    usage = {"input_tokens": 100, "output_tokens": 20}
    return raw(json.dumps({**body, "content": content if text else [], "stop_reason": stop, "usage": usage}))


def chat_completions(text: str | None, stop: str = "stop", refusal: str | None = None, tokens: int = 100) -> Answer:
    """A reply of OpenAI's Chat Completions API, for so many prompt tokens."""
    return raw(json.dumps(completion(text, stop, refusal, tokens)))


def completion(text: str | None, stop: str = "stop", refusal: str | None = None, tokens: int = 100) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice = {"index": 0, "finish_reason": stop, "message": message, "logprobs": None}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return body | {"usage": {"prompt_tokens": tokens, "completion_tokens": 20, "total_tokens": tokens + 20}}
