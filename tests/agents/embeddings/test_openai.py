"""OpenAI's embeddings through its own client, against a server on this machine."""

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.embeddings.openai import MODEL, REQUEST_TEXTS, REQUEST_TOKENS, TEXT_TOKENS, OpenAI, requests
from agents.llm.errors import ModelError, RetryLaterError
from agents.tokens import counter
from tests.agents.embeddings.wire import LASTING, PASSING, embeddings, vector
from tests.agents.llm.wire import Wire, serving


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving() as wire:
        yield wire


def model(wire: Wire, limit_s: float = 5) -> OpenAI:
    return OpenAI(api_key="secret", base_url=wire.url + "/v1", limit_s=limit_s)


def expected(*texts: str) -> Any:
    rows = np.array([vector(text) for text in texts], np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


async def test_on_the_wire(wire: Wire) -> None:
    wire.will(embeddings(lambda entries: entries[::-1]))
    assert np.allclose(await model(wire).embed(["one", "two"]), expected("one", "two"), atol=1e-6)
    (asked,) = wire.asked
    assert asked.path == "/v1/embeddings"
    assert asked.headers["Authorization"] == "Bearer secret"
    assert asked.body == {"model": MODEL, "input": ["one", "two"], "encoding_format": "float"}


async def test_many_texts_go_in_several_requests(wire: Wire) -> None:
    wire.will(embeddings())
    texts = [f"text {number}" for number in range(2 * REQUEST_TEXTS + 1)]
    assert np.allclose(await model(wire).embed(texts), expected(*texts), atol=1e-6)
    assert [text for asked in wire.asked for text in asked.body["input"]] == texts
    assert len(wire.asked) == 3


async def test_no_texts_need_no_request(wire: Wire) -> None:
    assert (await model(wire).embed([])).shape == (0, 1536)
    assert wire.asked == []


@pytest.mark.parametrize("name", PASSING)
async def test_what_passes_is_for_later(wire: Wire, name: str) -> None:
    wire.will(PASSING[name])
    with pytest.raises(RetryLaterError) as raised:
        await model(wire).embed(["one", "two"])
    assert raised.value.retry_after_s == (7 if name == "429" else None)
    assert wire.url in str(raised.value)
    assert len(wire.asked) == 1, "the client library must not retry by itself"


async def test_a_server_that_does_not_answer_is_for_later(wire: Wire) -> None:
    wire.will(wire.hang())
    with pytest.raises(RetryLaterError, match=r"did not answer within 0\.2 s|timed out"):
        await model(wire, 0.2).embed(["one"])


async def test_nobody_there_is_for_later(wire: Wire) -> None:
    with pytest.raises(RetryLaterError, match="Connection error"):
        await OpenAI(api_key="secret", base_url="http://127.0.0.1:9/v1", limit_s=5).embed(["one"])


@pytest.mark.parametrize("name", LASTING)
async def test_what_lasts_names_the_setting_or_the_reason(wire: Wire, name: str) -> None:
    answer, named = LASTING[name]
    wire.will(answer)
    with pytest.raises(ModelError, match=named) as raised:
        await model(wire).embed(["one"])
    assert not isinstance(raised.value, RetryLaterError)


def test_a_long_text_is_shortened_to_what_the_api_takes() -> None:
    count = counter("cl100k_base")
    for text in ("日本語の文章です。" * 10_000, "x" * 100_000, "The courier is late. " * 5_000):
        ((shortened,),) = requests([text])
        assert text.startswith(shortened)
        assert 0.9 * TEXT_TOKENS < count(shortened) <= TEXT_TOKENS or shortened == text


@given(st.lists(st.sampled_from(["x", "word " * 8_000, "word " * 2_000, "日本 " * 6_000]), max_size=90))
def test_requests_hold_all_texts_in_order_and_no_more_than_the_api_takes(texts: list[str]) -> None:
    count = counter("cl100k_base")
    made = list(requests(texts))
    sizes = [[count(text) for text in request] for request in made]
    assert all(
        0 < len(request) <= REQUEST_TEXTS and sum(size) <= REQUEST_TOKENS
        for request, size in zip(made, sizes, strict=True)
    )
    assert all(sum(before) + after[0] > REQUEST_TOKENS for before, after in pairwise(sizes))
    flat = [text for request in made for text in request]
    assert all(text.startswith(kept) for text, kept in zip(texts, flat, strict=True))
