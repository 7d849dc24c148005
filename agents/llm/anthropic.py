"""Anthropic's Messages API, with structured output (`output_config.format`).

Neither sampling parameters nor a forced tool are sent: API version 2026-10-21 answers 400 to the former and current
models to the latter. So a prompt's temperature has no effect here. Thinking stays as the model has it, because models
differ in how it is turned off; its tokens count towards `max_tokens`, therefore the room.
"""

import json

import anthropic
from anthropic.types import AssistantMessageParam, Message, MessageParam, UserMessageParam

from agents.llm.errors import ModelError, RefusedError, RetryLaterError
from agents.llm.http_errors import Endpoint, from_status, unreadable
from agents.llm.in_time import HOOKS
from agents.llm.model import Call, Reply, T, Usage, invalid, read
from agents.llm.schema import strict_schema, told_schema

BASE_URL = "https://api.anthropic.com"
ROOM_TO_THINK = 16_000


class Anthropic:
    metered = True

    def __init__(self, *, api_key: str, model: str, base_url: str | None, timeout_s: float) -> None:
        self.name = f"anthropic/{model}"
        self._endpoint = Endpoint("ELEPHANTASM_ANTHROPIC_API_KEY", model, base_url or BASE_URL)
        # A compatible server may ignore output_config without a word; then the words in the prompt are all it has.
        self._tell_schema = base_url is not None
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key, base_url=self._endpoint.base_url, timeout=timeout_s, max_retries=0,
            http_client=anthropic.DefaultAsyncHttpxClient(event_hooks=HOOKS),
        )  # fmt: skip

    async def complete(self, call: Call[T]) -> Reply[T]:
        message = await self._ask(call)
        if not isinstance(message, Message):
            raise unreadable(self._endpoint, "Anthropic")
        text = "".join(block.text for block in message.content or () if block.type == "text")
        usage = Usage(message.usage.input_tokens, message.usage.output_tokens)
        if message.stop_reason == "max_tokens":
            raise invalid(f"it was cut off at {call.prompt.parameters.max_tokens} tokens; be shorter", text, usage)
        if message.stop_reason in ("refusal", "model_context_window_exceeded"):
            raise RefusedError(f"{self.name} stopped with {message.stop_reason}", **usage._asdict())
        return read(call, text, usage)

    async def _ask(self, call: Call[T]) -> Message:
        try:
            return await self._client.messages.create(
                model=self._endpoint.model,
                system=self._system(call),
                messages=_messages(call),
                max_tokens=call.prompt.parameters.max_tokens + ROOM_TO_THINK,
                output_config={"format": {"type": "json_schema", "schema": strict_schema(call.reply_type)}},
            )
        except anthropic.APIError as error:
            raise self._translated(error) from error
        except json.JSONDecodeError as error:
            raise RetryLaterError(f"{self._endpoint.base_url} sent a truncated body: {error}") from error

    def _system(self, call: Call[T]) -> str:
        return call.prompt.text + told_schema(call.reply_type) if self._tell_schema else call.prompt.text

    def _translated(self, error: anthropic.APIError) -> ModelError:
        if isinstance(error, anthropic.APIStatusError):
            return from_status(error.status_code, error.message, error.response.headers, self._endpoint)
        return RetryLaterError(f"{self._endpoint.base_url}: {error.message}")

    async def aclose(self) -> None:
        await self._client.close()


def _messages(call: Call[T]) -> list[MessageParam]:
    kinds = {"user": UserMessageParam, "assistant": AssistantMessageParam}
    return [kinds[turn.role](role=turn.role, content=turn.text) for turn in call.turns]
