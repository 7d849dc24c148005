"""Clients of the API at a modest pace: one asks for packs, one posts events; and what they were answered."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx

from benchmarks.figure import Figure
from stack.settings import Settings
from tests.faults.telemetry import WORDS

PACKS_PER_S, POSTS_PER_S = 2.0, 5.0
ANSWER_S = 30.0  # the API itself says 503 long before
NO_CONNECTION = "no connection"
EXPECTED = ("200", "201", "503", NO_CONNECTION)  # whatever is away


class Clients:
    """`answers` counts by what was asked for, and the status, `no connection`, or the name of another error."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self.settings, self.dice = settings, random.Random(f"clients {seed}")
        self.answers: Counter[tuple[str, str]] = Counter()

    def unexpected(self) -> int:
        return sum(count for (_, answer), count in self.answers.items() if answer not in EXPECTED)

    def figures(self) -> list[Figure]:
        counted = [
            Figure(f"API, {what} answered {answer}", count, "") for (what, answer), count in self.answers.items()
        ]
        return [*sorted(counted, key=lambda figure: figure.name),
                Figure("API, answers that it must not give", self.unexpected(), "", at_most=0)]  # fmt: skip

    async def run(self) -> None:
        base = f"http://127.0.0.1:{self.settings.api_port}/api"
        async with httpx.AsyncClient(base_url=base, timeout=ANSWER_S) as http:
            animas = await _animas(http)
            await asyncio.gather(self._packs(http, animas), self._posts(http, animas))

    async def _packs(self, http: httpx.AsyncClient, animas: list[str]) -> None:
        while True:
            request = {"anima_id": self.dice.choice(animas), "query": self._words(4)}
            await self._ask(http, "pack", "/packs/compile", request, 1 / PACKS_PER_S)

    async def _posts(self, http: httpx.AsyncClient, animas: list[str]) -> None:
        while True:
            event = {"anima_id": self.dice.choice(animas), "event_type": "message.in", "content": self._words(15)}
            await self._ask(http, "post", "/events", event, 1 / POSTS_PER_S)

    def _words(self, count: int) -> str:
        return " ".join(self.dice.choices(WORDS, k=count))

    async def _ask(self, http: httpx.AsyncClient, what: str, path: str, body: dict[str, Any], pace_s: float) -> None:
        """Takes `pace_s` seconds, or as long as the answer does."""
        begun = time.monotonic()
        try:
            answer = str((await http.post(path, json=body)).status_code)
        except httpx.TimeoutException as error:
            answer = type(error).__name__
        except (httpx.HTTPError, OSError):
            answer = NO_CONNECTION
        self.answers[what, answer] += 1
        await asyncio.sleep(max(0.0, begun + pace_s - time.monotonic()))


async def _animas(http: httpx.AsyncClient) -> list[str]:
    """Once there are some."""
    while True:
        with suppress(httpx.HTTPError):
            if found := (await http.get("/animas")).raise_for_status().json():
                return [one["id"] for one in found]
        await asyncio.sleep(0.5)
