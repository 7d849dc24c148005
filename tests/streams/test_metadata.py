"""How often a client asks for metadata when nothing that it is told helps."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.cluster import ClusterMetadata

from stack.embedded import Stack
from streams.kafka import connection

PAUSE_S, ASKING_S = 0.5, 1.2


async def test_the_same_question_is_asked_after_a_pause(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []
    update = ClusterMetadata.update_metadata

    def counted(cluster: Any, metadata: Any) -> None:
        answers.append(time.monotonic())
        update(cluster, metadata)

    monkeypatch.setattr(ClusterMetadata, "update_metadata", counted)
    async with AIOKafkaConsumer(retry_backoff_ms=PAUSE_S * 1000, **connection(stack.settings)) as kafka:
        answers.clear()
        begun = time.monotonic()
        while time.monotonic() - begun < ASKING_S:
            assert await asyncio.wait_for(kafka._client.force_metadata_update(), 5)
        assert 2 <= len(answers) <= 2 + (time.monotonic() - begun) / PAUSE_S


async def test_a_new_question_is_asked_at_once(stack: Stack) -> None:
    async with AIOKafkaConsumer(retry_backoff_ms=PAUSE_S * 1000, **connection(stack.settings)) as kafka:
        await kafka._client.force_metadata_update()
        begun = time.monotonic()
        await kafka._client.set_topics(["elephantasm.events"])
        assert time.monotonic() - begun < PAUSE_S
