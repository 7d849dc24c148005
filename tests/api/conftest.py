"""An API in this process, where a test may choose its settings and its caller; animas and a view of the log."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.callers import Caller, identify
from sinks.database import dsn
from stack.embedded import Stack
from stack.settings import Settings
from streams.kafka import connection, partition_of, producer, topics_of
from tests.conftest import World

LIMIT_S = 30.0
_numbers = itertools.count(1)

Serve = Callable[..., Awaitable[httpx.AsyncClient]]
MakeWorld = Callable[..., Awaitable[World]]


@dataclass(frozen=True)
class Anima:
    id: str
    key: str
    partition: int

    def event(self, content: str = "The kettle is on.", **others: Any) -> dict[str, Any]:
        return {"anima_id": self.id, "event_type": "message.in", "content": content} | others


async def eventually(condition: Callable[[], Awaitable[Any]], limit_s: float = LIMIT_S) -> Any:
    """The first truthy answer of `condition`. Raises TimeoutError."""
    async with asyncio.timeout(limit_s):
        while not (answer := await condition()):  # noqa: ASYNC110  it comes true in other processes
            await asyncio.sleep(0.05)
    return answer


async def publish(settings: Settings, key: bytes, *values: bytes) -> None:
    """To the log, as any producer would; each is acknowledged before the next."""
    partition = partition_of(key, settings.partitions)
    async with producer(settings) as kafka:
        for value in values:
            await kafka.send_and_wait(topics_of(settings).events.name, value, key=key, partition=partition)


async def new_anima(http: httpx.AsyncClient, partitions: int = 8) -> Anima:
    key = f"anima-{next(_numbers)}-{uuid.uuid4().hex[:8]}"
    answer = await http.post("/animas", json={"name": key, "key": key})
    assert answer.status_code == 201, answer.text
    return Anima(answer.json()["id"], key, partition_of(key.encode(), partitions))


@pytest.fixture
async def anima(http: httpx.AsyncClient) -> Anima:
    """An anima of this test's own on the session's stack."""
    return await new_anima(http)


class LogView:
    """What stands on a log."""

    def __init__(self, settings: Settings, kafka: AIOKafkaConsumer) -> None:
        self.topic, self.kafka = topics_of(settings).events.name, kafka

    async def end(self, anima: Anima) -> int:
        tp = TopicPartition(self.topic, anima.partition)
        return int((await self.kafka.end_offsets([tp]))[tp])

    async def since(self, anima: Anima, offset: int) -> list["ConsumerRecord[bytes, bytes]"]:
        """The anima's own records from `offset` to the present end; ticks and other animas' records are left out."""
        tp, end = TopicPartition(self.topic, anima.partition), await self.end(anima)
        self.kafka.assign([tp])
        self.kafka.seek(tp, offset)
        found: list[ConsumerRecord[bytes, bytes]] = []
        while await self.kafka.position(tp) < end:
            for records in (await self.kafka.getmany(timeout_ms=1000)).values():
                found += [record for record in records if record.key == anima.key.encode() and record.offset < end]
        return found

    async def at(self, position: str) -> "ConsumerRecord[bytes, bytes]":
        """The record at a position as the API writes it."""
        topic, partition, offset = position.rsplit("/", 2)
        tp = TopicPartition(topic, int(partition))
        self.kafka.assign([tp])
        self.kafka.seek(tp, int(offset))
        return await self.kafka.getone()


async def log_view(settings: Settings) -> LogView:
    kafka = AIOKafkaConsumer(**connection(settings))
    await kafka.start()
    return LogView(settings, kafka)


@pytest.fixture
async def log(stack: Stack) -> AsyncIterator[LogView]:
    view = await log_view(stack.settings)
    yield view
    await view.kafka.stop()


def on_stack(stack: Stack, **chosen: Any) -> Settings:
    """Settings for an API of one's own on the servers of the session's stack."""
    servers: dict[str, Any] = {
        "kafka": f"127.0.0.1:{stack.settings.kafka_port}",
        "database": SecretStr(dsn(stack.settings)),
    }
    return Settings(_env_file=None, data_dir=stack.settings.data_dir, **servers | chosen)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(settings)`: a client of an API in this process; `caller` says who asks."""
    async with AsyncExitStack() as running:

        async def start(settings: Settings, caller: Caller | None = None) -> httpx.AsyncClient:
            app = create_app(settings)
            if caller is not None:
                app.dependency_overrides[identify] = lambda: caller
            await running.enter_async_context(app.router.lifespan_context(app))
            return await running.enter_async_context(client_of(app))

        yield start


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/api", timeout=60)


async def connected(http: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same client, once its API reaches its servers."""

    async def ready() -> bool:
        return (await http.get("/readyz")).status_code == 200

    await eventually(ready)
    return http


def only(*animas: Anima) -> Caller:
    return Caller("limited", frozenset(UUID(anima.id) for anima in animas))
