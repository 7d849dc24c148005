"""Faults of the model provider: silent, broken off, overloaded, outside the contract, too late."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from tests.agents.llm.wire import Answer, chat_completions, raw, reset, status
from tests.faults.kinds import NotHit, fault
from tests.faults.provider import Provider, embedded
from tests.faults.scene import Scene

LIMIT_S = 30.0  # for the requests that have to come to be harmed
LOOK_S = 0.05
LATE_S = (1.0, 3.0)  # within the time-out

Harm = Callable[[Scene], Answer]


def _silent(scene: Scene) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        with suppress(TimeoutError):
            async with asyncio.timeout(scene.settings.llm_timeout_s + 2):
                await scene.provider.closing.wait()
        return await status(500)(request)

    return answer


def _busy(scene: Scene) -> Answer:
    return status(429, "slow down", {"retry-after": str(scene.dice.randint(1, 3))})


def _one_of(*answers: Answer) -> Harm:
    return lambda scene: scene.dice.choice(answers)


def _repeats_a_window(scene: Scene) -> Answer:
    """What another window was told. Nothing tells it from a good reply: two windows may well deserve the same words.
    So it is accepted and recorded; its quotes are of no event of the window, whose links then weigh the same.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        others = [text for key, text in scene.provider.told.items() if key != request["billed"].key]
        return await scene.provider.memory(request, others[-1] if others else None)

    return answer


async def _repeats_a_batch(request: web.Request) -> web.StreamResponse:
    """The vectors of another batch, by which no text may be found. Only their number can show it: had it been the same,
    no client could tell, so that is left out here.
    """
    return await raw(embedded(["of another batch"] * (len(request["texts"]) + 1)))(request)


COMMON: dict[str, Harm] = {
    "time-out": _silent,
    "connection reset in mid-reply": _one_of(reset),
    "429 with Retry-After": _busy,
    "500": _one_of(status(500)),
    "529": _one_of(status(529, "overloaded")),
}
HARMS: dict[str, dict[str, Harm]] = {
    "chat": {
        **COMMON,
        "truncated JSON": _one_of(
            raw('{"id": "c1", "object": "chat.completion", "choi'),
            chat_completions('{"summary": "They were about to'),
            chat_completions('{"summary": "They were about to', stop="length"),
        ),
        "JSON of the wrong shape": _one_of(
            raw('{"error": null}'),
            raw("[]"),
            raw("<html>Maintenance</html>", "text/html"),
            chat_completions('{"facts": ["a list"]}'),
            chat_completions('{"summary": 7, "content": [], "importance": "high", "confidence": 2}'),
        ),
        "a reply that repeats another's": _repeats_a_window,
        "empty reply": _one_of(raw(""), raw("{}"), chat_completions(""), chat_completions(None)),
    },
    "embeddings": {
        **COMMON,
        "truncated JSON": _one_of(raw(embedded(["cut off"])[:-500])),
        "JSON of the wrong shape": _one_of(
            raw('{"error": null}'),
            raw("[]"),
            raw("<html>Maintenance</html>", "text/html"),
            raw('{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}'),
        ),
        "a reply that repeats another's": _one_of(_repeats_a_batch),
        "empty reply": _one_of(raw(""), raw("{}"), raw('{"object": "list", "data": []}')),
    },
}


def _declare(endpoint: str, name: str, harm: Harm) -> None:
    @fault("models", f"{endpoint}: {name}")
    async def inject(scene: Scene) -> None:
        await _feed(scene, {endpoint: [harm(scene) for _ in range(scene.dice.randint(1, 10))]}, LIMIT_S)


for _endpoint, _harms in HARMS.items():
    for _name, _harm in _harms.items():
        _declare(_endpoint, _name, _harm)


@fault("models", "a storm of all of these")
async def storm(scene: Scene) -> None:
    drawn = {
        endpoint: [scene.dice.choice(list(harms.values()))(scene) for _ in range(40)]
        for endpoint, harms in HARMS.items()
    }
    await _feed(scene, drawn, scene.dice.uniform(3, 8))


def _declare_late(endpoint: str, stage: str, how: signal.Signals, name: str) -> None:
    @fault("models", f"{endpoint}: {name}")
    async def inject(scene: Scene) -> None:
        await _strike_in_flight(scene, endpoint, stage, how)


for _endpoint, _stage in (("chat", "synthesize"), ("embeddings", "embed")):
    _declare_late(_endpoint, _stage, signal.SIGKILL, "a reply after the stage was killed")
    _declare_late(_endpoint, _stage, signal.SIGTERM, "a reply while the stage shuts down")


async def _feed(scene: Scene, answers: dict[str, list[Answer]], limit_s: float) -> None:
    """Until requests have taken these answers, or for so long. Raises NotHit if none has taken one."""
    queues = [scene.provider.harm[endpoint] for endpoint in answers]
    for queue, drawn in zip(queues, answers.values(), strict=True):
        queue.extend(drawn)
    for _ in range(round(limit_s / LOOK_S)):
        if not any(queues):
            return
        await asyncio.sleep(LOOK_S)
    left = sum(map(len, queues))
    for queue in queues:
        queue.clear()
    if left == sum(map(len, answers.values())):
        raise NotHit(f"within {limit_s:g} s nobody asked for {' or '.join(answers)}")


async def _strike_in_flight(scene: Scene, endpoint: str, stage: str, how: signal.Signals) -> None:
    """All workers of the stage, while replies to it are on their way."""
    delay_s = scene.dice.uniform(*LATE_S)
    under_way = asyncio.Event()
    queue = scene.provider.harm[endpoint]
    queue.extend([_late(_valid(scene.provider, endpoint), delay_s, under_way)] * scene.dice.randint(1, 10))
    try:
        async with asyncio.timeout(LIMIT_S):
            await under_way.wait()
        await asyncio.sleep(delay_s * scene.dice.uniform(0, 0.8))
        for process in scene.processes(stage):
            scene.hit(process, how)
    except TimeoutError:
        raise NotHit(f"within {LIMIT_S:g} s nobody asked for {endpoint}") from None
    finally:
        queue.clear()
    await asyncio.sleep(delay_s)


def _valid(provider: Provider, endpoint: str) -> Answer:
    return {"chat": provider.memory, "embeddings": provider.vectors}[endpoint]


def _late(reply: Answer, seconds: float, under_way: asyncio.Event) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        under_way.set()
        await asyncio.sleep(seconds)
        return await reply(request)

    return answer
