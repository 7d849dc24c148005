"""The telemetry on its way: part of it straight to Kafka, part of it through the API; and what was promised for it."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stack.settings import Settings
from streams.kafka import connection, partition_of, topics_of
from streams.positions import Position, anima_of, event_id
from streams.records import Configure, Event
from tests.api.wrong import WRONG
from tests.faults.expected import REFUSED, Content
from tests.faults.telemetry import ANIMAS, QUIET, Piece, anima_key, pieces

IN_FLIGHT = 64
ANSWER_S = 20.0


class Batch(NamedTuple):
    """One that was answered: up to where it stands, how many of its events were appended, the numbers of all of them,
    of those without a dedupe key, and the ids of those with one.
    """

    after: Position
    accepted: int
    numbers: list[int]
    alone: list[int]
    ids: list[UUID]


@dataclass
class Promises:
    """What was answered. `stored`: by number, where the API said that an event stands; `firsts`: by id, where it said
    that one with a dedupe key is first; `attempts`: how often an event was posted, by its number: once, or with a
    dedupe key until there was an answer; `animas`: names by id, where the API said that there is one now; `refused`:
    how many wrong events it has refused; `acknowledged`: key and value of the records that Kafka said it has; `broken`:
    answers that the API must not give, whatever is away.
    """

    stored: dict[int, Position] = field(default_factory=dict)
    firsts: list[tuple[UUID, Position]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    attempts: Counter[int] = field(default_factory=Counter)
    animas: dict[UUID, str] = field(default_factory=dict)
    refused: int = 0
    acknowledged: dict[Position, Content] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Load:
    """One producer for Kafka, one client for the API; what fails is not sent again, except with a dedupe key. It sends
    while `gate` is set.
    """

    def __init__(self, settings: Settings, seed: int, per_s: float, gate: asyncio.Event) -> None:
        self.settings, self.topic = settings, topics_of(settings).events.name
        self.pieces = pieces(seed, per_s)
        self.promises = Promises()
        self.sent = 0
        self.gate, self.stopping = gate, asyncio.Event()
        self.room = asyncio.Semaphore(IN_FLIGHT)
        self.under_way: set[asyncio.Task[None]] = set()
        self.ids: dict[bytes, str] = {}
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{settings.api_port}/api",
            timeout=ANSWER_S,
            limits=httpx.Limits(max_connections=16),
        )
        self.kafka = AIOKafkaProducer(
            enable_idempotence=True, linger_ms=5, request_timeout_ms=60_000, max_request_size=2_000_000,
            **connection(settings),
        )  # fmt: skip

    async def run(self) -> None:
        """Until `stop`."""
        await self.kafka.start()
        for piece in self.pieces:
            if self.stopping.is_set():
                return
            if piece.pause_s:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), piece.pause_s)
            await self.gate.wait()
            await self.room.acquire()
            task = asyncio.ensure_future(self._send(piece))
            self.under_way.add(task)
            task.add_done_callback(self._sent)

    async def stop(self) -> None:
        """Ends the load; what is under way is answered first. Then nothing is due by time any more."""
        self.stopping.set()
        while self.under_way:
            await asyncio.wait(set(self.under_way))
        for number in range(ANIMAS):
            await self._produce(Piece("kafka", anima_key(number), Configure(weights=QUIET).value()))
        await self.kafka.stop()
        await self.http.aclose()

    def _sent(self, task: "asyncio.Task[None]") -> None:
        self.under_way.discard(task)
        self.room.release()
        self.sent += 1
        if not task.cancelled() and (error := task.exception()) is not None:
            self.promises.broken.append(repr(error))

    async def _send(self, piece: Piece) -> None:
        if piece.by == "kafka":
            await self._produce(piece)
        elif piece.by == "pack":
            await self._pack(piece.key or b"", piece.events[0].content)
        elif piece.by == "wrong":
            await self._wrong(piece.key or b"", (piece.value or b"").decode())
        elif piece.by == "anima":
            await self._create((piece.key or b"").decode())
        else:
            await self._post(piece.key or b"", piece.events)

    async def _produce(self, piece: Piece) -> None:
        partition = piece.partition
        if partition is None:
            partition = partition_of(piece.key or b"", self.settings.partitions)
        at = int(time.time() * 1000) - piece.late_ms
        try:
            if piece.key is None and piece.value is None:
                batch = self.kafka.create_batch()
                batch.append(key=None, value=None, timestamp=at)
                await (await self.kafka.send_batch(batch, self.topic, partition=partition))
                return
            stored = await self.kafka.send_and_wait(
                self.topic, key=piece.key, value=piece.value, partition=partition, timestamp_ms=at
            )
            self.promises.acknowledged[Position(stored.topic, stored.partition, stored.offset)] = piece.key, piece.value
        except KafkaError as error:
            self._note(f"kafka {type(error).__name__}")

    async def _post(self, key: bytes, events: Sequence[Event]) -> None:
        """Those with a dedupe key are sent until they are answered; those without one, once."""
        while events:
            await self.gate.wait()
            try:
                answer = await self._answer(key, events)
            except (httpx.HTTPError, OSError) as error:
                self._note(f"http {type(error).__name__}")
            else:
                if answer is not None:
                    self._keep(key, events, answer)
                    return
            events = [event for event in events if event.dedupe_key and not self.stopping.is_set()]
            await asyncio.sleep(0.5)

    async def _pack(self, key: bytes, query: str) -> None:
        """A reader: gets a pack, or is told to come back."""
        with suppress(httpx.HTTPError, OSError):
            if (anima := await self._id(key)) is not None:
                answer = await self.http.post("/packs/compile", json={"anima_id": anima, "query": query[:200]})
                assert answer.status_code in (200, 503), answer.text
                self._note(f"pack {answer.status_code}")

    async def _wrong(self, key: bytes, name: str) -> None:
        """A client that has it wrong: is told which field, or to come back."""
        fields, blamed = WRONG[name]
        with suppress(httpx.HTTPError, OSError):
            if (anima := await self._id(key)) is not None:
                body = f'{{"anima_id": "{anima}", "session_id": "{REFUSED}", "event_type": "message.in", {fields}}}'
                answer = await self.http.post("/events", content=body, headers={"Content-Type": "application/json"})
                assert answer.status_code in (422, 503), answer.text
                if answer.status_code == 422:
                    assert [fault["field"] for fault in answer.json()["detail"]] == [blamed], answer.text
                    self.promises.refused += 1

    async def _create(self, key: str) -> None:
        """Once: without an answer nobody knows whether there is one now."""
        with suppress(httpx.HTTPError, OSError):
            answer = await self.http.post("/animas", json={"name": f"name of {key}", "key": key})
            assert answer.status_code in (201, 503), answer.text
            self._note(f"anima {answer.status_code}")
            if answer.status_code == 201:
                self.promises.animas[UUID(answer.json()["id"])] = answer.json()["name"]

    async def _id(self, key: bytes) -> str | None:
        """None if nobody has said anything under this key yet."""
        if key not in self.ids:
            found = await self.http.get("/animas/search", params={"name": key.decode()})
            matches = [one["id"] for one in found.json() if one["key"] == key.decode()] if found.is_success else []
            if matches:
                self.ids[key] = matches[0]
        return self.ids.get(key)

    async def _answer(self, key: bytes, events: Sequence[Event]) -> httpx.Response | None:
        """None for an error that passes."""
        if (anima := await self._id(key)) is None:
            return None
        bodies = [event.model_dump(mode="json", exclude_none=True) for event in events]
        self.promises.attempts.update(map(_number, events))
        if len(events) == 1:
            answer = await self.http.post("/events", json=bodies[0] | {"anima_id": anima})
        else:
            answer = await self.http.post("/events/batch", json={"anima_id": anima, "events": bodies})
        if answer.is_success:
            return answer
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) >= 1
        self._note("http 503")
        return None

    def _keep(self, key: bytes, events: Sequence[Event], answer: httpx.Response) -> None:
        said, numbers = answer.json(), [_number(event) for event in events]
        ids = [event_id(anima_of(key), 0, 0, event.dedupe_key) for event in events if event.dedupe_key]
        if len(events) > 1:
            alone = [_number(event) for event in events if not event.dedupe_key]
            assert said["accepted"] + said["repeated"] == len(events), said
            batch = Batch(Position.parse(said["after"]), said["accepted"], numbers, alone, ids)
            self.promises.batches.append(batch)
            return
        position = Position.parse(said["position"])
        if answer.status_code != 200:  # which says that nothing of this was stored: another event was first
            self.promises.stored[numbers[0]] = position
        if answer.status_code != 202:
            self.promises.firsts += [(identity, position) for identity in ids]

    def _note(self, error: str) -> None:
        self.promises.errors[error] = self.promises.errors.get(error, 0) + 1


def _number(event: Event) -> int:
    assert event.meta is not None
    number: int = event.meta["number"]
    return number
