"""Prompts, calls, schemas, settings: what has no wire."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from agents.llm.anthropic import BASE_URL, Anthropic
from agents.llm.errors import WrongSettingError
from agents.llm.http_errors import retry_after_s
from agents.llm.model import Call, canonical, readable
from agents.llm.openai import OpenAI
from agents.llm.prompt import parse, prompt
from agents.llm.provider import provider
from agents.llm.schema import strict_schema
from agents.llm.synthesis import Synthesis, synthesis_call
from stack.settings import LLMProvider, Settings
from tests.agents.llm.conftest import Event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
HEAD = '+++\npurpose = "p"\ntemperature = 0.5\nmax_tokens = 10\n+++\n'


def test_a_prompt_knows_its_parameters_and_the_hash_of_its_text() -> None:
    asked = parse("merge", 3, HEAD + "Merge.\n")
    assert (asked.text, asked.parameters.temperature, asked.parameters.max_tokens) == ("Merge.\n", 0.5, 10)
    assert asked.hash == parse("other", 1, HEAD.replace('"p"', '"q"') + "\nMerge.").hash
    assert asked.hash != parse("merge", 3, HEAD + "Merge!").hash


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("Merge.", r"merge.v3: front matter must stand between"),
        ('+++\npurpose = "p"\n', r"merge.v3: front matter must stand between"),
        (HEAD.replace("0.5", "7"), r"merge.v3: .*\n?temperature"),
        (HEAD.replace("0.5", "="), r"merge.v3: Invalid value"),
    ],
)
def test_a_prompt_without_its_front_matter_is_a_mistake(document: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse("merge", 3, document)


def test_the_example_in_the_synthesis_prompt_keeps_its_own_rules() -> None:
    text = prompt("synthesize", 1).text
    events = json.loads(text[text.index("\n[\n{") : text.index("\n]\n") + 2])
    memory = Synthesis.model_validate_json(text[text.index('{"summary": "Ines') :])
    assert len(memory.summary.split()) <= 40
    quotes = [line.split(": ", 1) for line in memory.content.split("\n") if ": " in line]
    assert len(quotes) == 4
    assert all(any(e["author"] == author and quote in e["content"] for e in events) for author, quote in quotes)


def test_a_call_is_known_by_what_is_asked() -> None:
    call = synthesis_call([Event("hi")], "openai/a")
    same = synthesis_call([Event("hi")], "openai/a")
    other_prompt = replace(call.prompt, text="Other.")
    hotter = replace(call.prompt, parameters=call.prompt.parameters.model_copy(update={"temperature": 1.0}))
    others = [
        synthesis_call([Event("hi!")], "openai/a"),
        synthesis_call([Event("hi")], "openai/b"),
        replace(call, prompt=other_prompt),
        replace(call, prompt=hotter),
    ]
    assert call.id == same.id == call.after("{}", "wrong").id
    assert len({call.id, *(other.id for other in others)}) == 5
    assert len(call.id) == 64


@given(JSON)
def test_any_input_can_be_hashed_and_sent(value: Any) -> None:
    assert json.loads(canonical(value)) == value
    readable(value).encode()


def test_the_order_of_keys_is_not_part_of_a_call() -> None:
    asked = prompt("synthesize", 1)
    assert Call(asked, {"a": 1, "b": 2}, Synthesis, "m").id == Call(asked, {"b": 2, "a": 1}, Synthesis, "m").id


@pytest.mark.parametrize(
    ("event", "author"),
    [
        (Event("x", author="  Ines \n Silva "), "Ines Silva"),
        (Event("x", author=None), "user"),
        (Event("x", author=" ", event_type="message.out"), "assistant"),
        (Event("x", author=None, event_type="tool.result"), "tool"),
        (Event("x", author=None, event_type="custom"), "system"),
    ],
)
def test_every_event_has_a_speaker(event: Event, author: str) -> None:
    (shown,) = json.loads(readable(synthesis_call([event], "m").input))
    assert shown["author"] == author


class Point(BaseModel):
    kind: Literal["fact", "method"]
    weight: float | None = Field(None, ge=0, le=1)


class Points(BaseModel):
    """Up to fifty."""

    points: list[Point] = Field(max_length=50)
    title: str = Field("untitled", min_length=2, description="A heading.")


def test_the_schema_is_strict_all_the_way_down() -> None:
    schema = strict_schema(Points)
    assert schema["required"] == ["points", "title"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["title"] == {"type": "string", "description": "A heading. (minLength 2)"}
    assert schema["properties"]["points"]["items"] == {"$ref": "#/$defs/Point"}
    point = schema["$defs"]["Point"]
    assert (point["required"], point["additionalProperties"]) == (["kind", "weight"], False)
    assert point["properties"]["kind"] == {"type": "string", "enum": ["fact", "method"]}
    assert [option["type"] for option in point["properties"]["weight"]["anyOf"]] == ["number", "null"]


NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "Thu, 05 Mar 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Thu, 05 Mar 2026 11:00:00 GMT"}, 0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 05 Mar 2026 12:00:30 -0000"}, 30),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == seconds


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for variable in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "LLM_PROVIDER", "LLM_MODEL", "LLM_BASE_URL"):
        monkeypatch.delenv(f"ELEPHANTASM_{variable}", raising=False)
    return Settings(_env_file=None)


@pytest.mark.parametrize("name", [LLMProvider.anthropic, LLMProvider.openai])
def test_a_missing_key_names_its_variable_and_the_way_out(blank: Settings, name: LLMProvider) -> None:
    told = rf"ELEPHANTASM_{name.upper()}_API_KEY is not set, .*PROVIDER={name} needs it; .*=extractive works"
    with pytest.raises(WrongSettingError, match=told):
        provider(blank.model_copy(update={"llm_provider": name}))


def test_the_settings_choose_the_model(blank: Settings) -> None:
    key = {"anthropic_api_key": SecretStr("k"), "openai_api_key": SecretStr("k")}
    default = provider(blank.model_copy(update={**key, "llm_provider": LLMProvider.anthropic}))
    chosen = provider(blank.model_copy(update={**key, "llm_provider": LLMProvider.openai, "llm_model": "gpt-x"}))
    local = provider(
        blank.model_copy(
            update={"llm_provider": LLMProvider.openai, "llm_base_url": "http://127.0.0.1:1", "llm_model": "q"}
        )
    )
    assert isinstance(default, Anthropic)
    assert isinstance(chosen, OpenAI)
    assert default.name == "anthropic/claude-haiku-5-5"
    assert chosen.name == "openai/gpt-x"
    assert local.name == "openai/q"
    assert provider(blank).name == "extractive/sumbasic"


def test_the_environment_of_a_client_library_redirects_nothing(
    blank: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://elsewhere")
    key = {"llm_provider": LLMProvider.anthropic, "anthropic_api_key": SecretStr("k")}
    model = provider(blank.model_copy(update=key))
    assert isinstance(model, Anthropic)
    assert str(model._client.base_url).rstrip("/") == BASE_URL
