"""Both providers through their official clients, against a server on this machine: what goes over the wire, and what
each failure is turned into.
"""

import json

import pytest

from agents.llm.anthropic import Anthropic
from agents.llm.errors import InvalidReplyError, ModelError, RefusedError, RetryLaterError, WrongSettingError
from agents.llm.openai import OFFICIAL, OpenAI
from agents.llm.prompt import prompt
from agents.llm.synthesis import Synthesis, synthesis_call
from tests.agents.llm.conftest import Event, Provider
from tests.agents.llm.wire import MEMORY, Wire, chat_completions, messages_api, raw, reset, status

SCHEMA_KEYS = ["summary", "content", "importance", "confidence"]


async def test_a_reply_is_read_with_its_tokens(provider: Provider) -> None:
    provider.wire.will(provider.replies(json.dumps(MEMORY)))
    reply = await provider.model.complete(provider.call())
    assert reply.value == Synthesis.model_validate(MEMORY)
    assert (reply.input_tokens, reply.output_tokens) == (100, 20)


@pytest.mark.parametrize("wrapping", ["```json\n{}\n```", "Here is the memory:\n\n{}\n\nAnything else?"])
async def test_an_object_is_found_in_the_text_around_it(provider: Provider, wrapping: str) -> None:
    provider.wire.will(provider.replies(wrapping.replace("{}", json.dumps(MEMORY))))
    assert (await provider.model.complete(provider.call())).value == Synthesis.model_validate(MEMORY)


async def test_anthropic_on_the_wire(wire: Wire) -> None:
    wire.will(messages_api(json.dumps(MEMORY)))
    model = Anthropic(api_key="secret", model="claude-test", base_url=wire.url, timeout_s=5)
    await model.complete(synthesis_call([Event("I moved to Lisbon")], model.name))
    (asked,) = wire.asked
    assert asked.path == "/v1/messages"
    assert asked.headers["Authorization"] == "Bearer secret"
    assert asked.body["model"] == "claude-test"
    assert asked.body["system"].startswith(prompt("synthesize", 1).text)
    assert asked.body["max_tokens"] == 1024 + 16_000
    assert asked.body["output_config"]["format"]["type"] == "json_schema"
    assert asked.body["output_config"]["format"]["schema"]["required"] == SCHEMA_KEYS
    assert asked.body["output_config"]["format"]["schema"]["additionalProperties"] is False
    assert asked.body["messages"] == [
        {
            "role": "user",
            "content": '[\n{"at": "2026-03-05T18:02:11Z", "session": "s1", "type": "message.in", "author": "Ines",'
            ' "content": "I moved to Lisbon"}\n]',
        }
    ]
    # API version 2026-10-21 answers 400 to the first three, current models to the last.
    assert not {"temperature", "top_p", "top_k", "tool_choice"} & asked.body.keys()


async def test_openai_on_the_wire(wire: Wire) -> None:
    wire.will(chat_completions(json.dumps(MEMORY)))
    model = OpenAI(api_key="secret", model="gpt-test", base_url=wire.url + "/v1", timeout_s=5)
    await model.complete(synthesis_call([Event("I moved to Lisbon")], model.name))
    (asked,) = wire.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["Authorization"] == "Bearer secret"
    assert asked.body["model"] == "gpt-test"
    assert asked.body["temperature"] == prompt("synthesize", 1).parameters.temperature
    assert asked.body["max_tokens"] == 1024 + 4_000
    system, user = asked.body["messages"]
    assert system["role"] == "system"
    assert system["content"].startswith(prompt("synthesize", 1).text)
    assert '"content": "I moved to Lisbon"' in user["content"]
    told = asked.body["response_format"]["json_schema"]
    assert (told["name"], told["strict"], told["schema"]["required"]) == ("Synthesis", True, SCHEMA_KEYS)


async def test_openai_itself_gets_no_temperature(wire: Wire) -> None:
    wire.will(chat_completions(json.dumps(MEMORY)))
    model = OpenAI(api_key="secret", model="gpt-test", base_url=wire.url + "/v1", timeout_s=5)
    model._dialect = OFFICIAL
    await model.complete(synthesis_call([Event("hi")], model.name))
    assert "temperature" not in wire.asked[0].body
    assert wire.asked[0].body["max_completion_tokens"] == 1024 + 16_000


async def test_a_server_that_knows_no_schema_is_asked_in_words_from_then_on(wire: Wire) -> None:
    wire.will(
        status(400, "response_format.type json_schema is not supported", param="response_format"),
        status(422, "unknown value json_object"),
        status(400, "temperature must be 1", param="temperature"),
        status(400, "use max_completion_tokens instead of max_tokens", param="max_tokens"),
        chat_completions(json.dumps(MEMORY)),
    )
    model = OpenAI(api_key="none", model="local", base_url=wire.url + "/v1", timeout_s=5)
    for _ in range(2):
        await model.complete(synthesis_call([Event("hi")], model.name))
    formats = [asked.body["response_format"]["type"] for asked in wire.asked]
    assert formats == ["json_schema", "json_object", "text", "text", "text", "text"]
    assert "temperature" in wire.asked[2].body
    assert not {"temperature", "max_tokens"} & wire.asked[5].body.keys()
    assert '"required": ["summary"' in wire.asked[5].body["messages"][0]["content"]


@pytest.mark.parametrize("code", [408, 409, 429, 500, 502, 503, 529])
async def test_a_busy_server_is_asked_again_later(provider: Provider, code: int) -> None:
    provider.wire.will(status(code, headers={"retry-after": "7"}))
    with pytest.raises(RetryLaterError) as raised:
        await provider.model.complete(provider.call())
    assert raised.value.retry_after_s == 7
    assert len(provider.wire.asked) == 1, "the client library must not retry by itself"


@pytest.mark.parametrize("code", [401, 402, 403])
async def test_a_wrong_key_names_its_setting(provider: Provider, code: int) -> None:
    provider.wire.will(status(code, "invalid key"))
    with pytest.raises(WrongSettingError, match=f"{provider.key_setting} was not accepted: .*{code}: .*invalid key"):
        await provider.model.complete(provider.call())


async def test_an_unknown_model_names_its_setting(provider: Provider) -> None:
    provider.wire.will(status(404, "no such model"))
    with pytest.raises(WrongSettingError, match=r"ELEPHANTASM_LLM_MODEL='.+-test' or ELEPHANTASM_LLM_BASE_URL"):
        await provider.model.complete(provider.call())


async def test_an_account_without_credit_is_not_waited_for(wire: Wire) -> None:
    wire.will(status(429, "You exceeded your current quota", code="insufficient_quota"))
    model = OpenAI(api_key="secret", model="gpt-test", base_url=wire.url + "/v1", timeout_s=5)
    with pytest.raises(WrongSettingError, match="no credit"):
        await model.complete(synthesis_call([Event("hi")], model.name))


@pytest.mark.parametrize("code", [400, 413, 422])
async def test_a_request_turned_away_is_not_repeated(provider: Provider, code: int) -> None:
    provider.wire.will(status(code, "prompt is too long"))
    with pytest.raises(RefusedError, match="too long"):
        await provider.model.complete(provider.call())
    assert len(provider.wire.asked) == 1


async def test_a_connection_reset_mid_reply_is_transient(provider: Provider) -> None:
    provider.wire.will(reset)
    with pytest.raises(RetryLaterError):
        await provider.model.complete(provider.call())


async def test_a_truncated_body_is_transient(provider: Provider) -> None:
    provider.wire.will(raw('{"id": "m1", "choi'))
    with pytest.raises(RetryLaterError, match="truncated"):
        await provider.model.complete(provider.call())


async def test_a_server_that_does_not_answer_in_time_is_transient(wire: Wire) -> None:
    wire.will(wire.hang())
    for model in (
        Anthropic(api_key="k", model="m", base_url=wire.url, timeout_s=0.1),
        OpenAI(api_key="k", model="m", base_url=wire.url, timeout_s=0.1),
    ):
        with pytest.raises(RetryLaterError):
            await model.complete(synthesis_call([Event("hi")], model.name))


async def test_nobody_listening_is_transient(provider: Provider) -> None:
    model = type(provider.model)(api_key="k", model="m", base_url="http://127.0.0.1:9", timeout_s=5)
    with pytest.raises(RetryLaterError, match=r"http://127.0.0.1:9"):
        await model.complete(synthesis_call([Event("hi")], model.name))


async def test_a_web_page_instead_of_an_api_names_the_base_url(provider: Provider) -> None:
    provider.wire.will(raw("<html>Welcome</html>", "text/html"))
    with pytest.raises(WrongSettingError, match="ELEPHANTASM_LLM_BASE_URL"):
        await provider.model.complete(provider.call())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"summary": "Ines mov', "JSON"),
        ("", "it is empty"),
        ("I cannot do that.", "JSON"),
        ('{"summary": "Ines moved."}', "content: Field required"),
        (json.dumps({**MEMORY, "importance": 7}), "importance: Input should be less than or equal to 1"),
        (json.dumps({**MEMORY, "summary": "   "}), "summary: String should have at least 1 character"),
    ],
)
async def test_a_reply_outside_the_contract_says_what_is_wrong(provider: Provider, text: str, problem: str) -> None:
    provider.wire.will(provider.replies(text))
    with pytest.raises(InvalidReplyError, match=problem) as raised:
        await provider.model.complete(provider.call())
    assert (raised.value.raw, raised.value.input_tokens, raised.value.output_tokens) == (text, 100, 20)


async def test_a_reply_that_ran_out_of_tokens_is_invalid_even_if_it_parses(provider: Provider) -> None:
    provider.wire.will(provider.replies(json.dumps(MEMORY), provider.cut_off))
    with pytest.raises(InvalidReplyError, match="cut off at 1024 tokens"):
        await provider.model.complete(provider.call())


async def test_a_refusal_counts_its_tokens(provider: Provider) -> None:
    stop = "refusal" if provider.replies is messages_api else "content_filter"
    provider.wire.will(provider.replies("I would rather not.", stop))
    with pytest.raises(RefusedError) as raised:
        await provider.model.complete(provider.call())
    assert raised.value.output_tokens == 20


async def test_the_next_attempt_carries_the_rejected_reply_and_the_problem(provider: Provider) -> None:
    provider.wire.will(provider.replies(json.dumps(MEMORY)))
    await provider.model.complete(provider.call().after('{"summary": 1}', "content: Field required"))
    turns = [turn for turn in provider.wire.asked[0].body["messages"] if turn["role"] != "system"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"] == '{"summary": 1}'
    assert "content: Field required" in turns[2]["content"]


async def test_an_odd_character_neither_breaks_the_request_nor_the_reply(provider: Provider) -> None:
    odd = json.dumps({**MEMORY, "summary": "nul \x00 here"}).replace("here", "here 😀")
    provider.wire.will(provider.replies(odd))
    reply = await provider.model.complete(provider.call("lone \ud83d surrogate \x00 \u2028"))
    assert reply.value.summary == "nul  here 😀"


def test_every_error_of_the_seam_is_a_model_error() -> None:
    assert all(issubclass(e, ModelError) for e in (RetryLaterError, InvalidReplyError, RefusedError, WrongSettingError))
