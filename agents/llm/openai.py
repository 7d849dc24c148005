"""OpenAI's Chat Completions API, and the servers that speak it, with structured output as far as each one knows it."""

import json
from dataclasses import dataclass, replace
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from agents.llm.errors import ModelError, RefusedError, RetryLaterError, WrongSettingError
from agents.llm.http_errors import Endpoint, from_status, unreadable
from agents.llm.in_time import HOOKS
from agents.llm.model import Call, Reply, T, Usage, invalid, read
from agents.llm.schema import strict_schema, told_schema

BASE_URL = "https://api.openai.com/v1"
# OpenAI counts thinking towards the limit. A local server reserves the limit in its context window, so it gets less.
ROOM_TO_THINK = 16_000
ROOM_TO_THINK_LOCALLY = 4_000


@dataclass(frozen=True, slots=True)
class Dialect:
    """The optional fields that a server is sent; of `formats` and `limits` the first is used, the others come next."""

    formats: tuple[str, ...]
    limits: tuple[str, ...]
    temperature: bool
    room: int

    def without(self, complaint: str) -> "Dialect | None":
        """What to try after a server rejected a request with this complaint; None if it is not about these fields."""
        if self.temperature and "temperature" in complaint:
            return replace(self, temperature=False)
        if len(self.limits) > 1 and self.limits[0] in complaint:
            return replace(self, limits=self.limits[1:])
        if len(self.formats) > 1 and ("response_format" in complaint or self.formats[0] in complaint):
            return replace(self, formats=self.formats[1:])
        return None


_FORMATS = ("json_schema", "json_object", "text")
# Current models of OpenAI accept no temperature but 1.
OFFICIAL = Dialect(_FORMATS, ("max_completion_tokens", "max_tokens"), temperature=False, room=ROOM_TO_THINK)
COMPATIBLE = Dialect(_FORMATS, ("max_tokens", "max_completion_tokens"), temperature=True, room=ROOM_TO_THINK_LOCALLY)


class OpenAI:
    metered = True

    def __init__(self, *, api_key: str, model: str, base_url: str | None, timeout_s: float) -> None:
        self.name = f"openai/{model}"
        self._endpoint = Endpoint("ELEPHANTASM_OPENAI_API_KEY", model, base_url or BASE_URL)
        self._tell_schema = base_url is not None
        self._dialect = COMPATIBLE if base_url else OFFICIAL
        self._client = openai.AsyncOpenAI(
            api_key=api_key, base_url=self._endpoint.base_url, timeout=timeout_s, max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks=HOOKS),
        )  # fmt: skip

    async def complete(self, call: Call[T]) -> Reply[T]:
        completion = await self._negotiate(call)
        if not isinstance(completion, ChatCompletion):
            raise unreadable(self._endpoint, "OpenAI")
        usage = _usage(completion)
        if not completion.choices:
            raise invalid("it is empty", "", usage)
        choice = completion.choices[0]
        text = choice.message.content or ""
        if choice.finish_reason == "length":
            raise invalid(f"it was cut off at {call.prompt.parameters.max_tokens} tokens; be shorter", text, usage)
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            raise RefusedError(f"{self.name}: {choice.message.refusal or 'content filter'}", **usage._asdict())
        return read(call, text, usage)

    async def _negotiate(self, call: Call[T]) -> ChatCompletion:
        """Asks in the fullest dialect that the server has not rejected. Each round gives up one field, so it ends."""
        while True:
            spoken = self._dialect
            try:
                return await self._ask(call, spoken)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                lesser = spoken.without(error.param or error.message)
                if lesser is None:
                    raise translated(error, self._endpoint) from error
                self._dialect = lesser
            except openai.APIError as error:
                raise translated(error, self._endpoint) from error
            except json.JSONDecodeError as error:
                raise RetryLaterError(f"{self._endpoint.base_url} sent a truncated body: {error}") from error

    async def _ask(self, call: Call[T], dialect: Dialect) -> ChatCompletion:
        parameters = call.prompt.parameters
        optional: dict[str, Any] = {dialect.limits[0]: parameters.max_tokens + dialect.room}
        if dialect.temperature:
            optional["temperature"] = parameters.temperature
        completion: ChatCompletion = await self._client.chat.completions.create(
            model=self._endpoint.model,
            messages=self._messages(call, dialect),
            response_format=_response_format(call, dialect.formats[0]),
            **optional,
        )
        return completion

    def _messages(self, call: Call[T], dialect: Dialect) -> Any:
        tell = self._tell_schema or dialect.formats[0] != "json_schema"
        system = call.prompt.text + told_schema(call.reply_type) if tell else call.prompt.text
        turns = [{"role": turn.role, "content": turn.text} for turn in call.turns]
        return [{"role": "system", "content": system}, *turns]

    async def aclose(self) -> None:
        await self._client.close()


def translated(error: openai.APIError, endpoint: Endpoint) -> ModelError:
    """What an error of the client library means for the caller."""
    # The one 429 that waiting does not cure.
    if error.code == "insufficient_quota":
        return WrongSettingError(f"the account of {endpoint.key_setting} has no credit: {error.message}")
    if isinstance(error, openai.APIStatusError):
        return from_status(error.status_code, error.message, error.response.headers, endpoint)
    return RetryLaterError(f"{endpoint.base_url}: {error.message} {error.__cause__ or ''}".rstrip())


def _response_format(call: Call[T], kind: str) -> Any:
    if kind != "json_schema":
        return {"type": kind}
    schema = {"name": call.reply_type.__name__, "strict": True, "schema": strict_schema(call.reply_type)}
    return {"type": "json_schema", "json_schema": schema}


def _usage(completion: ChatCompletion) -> Usage:
    """Zero where a server does not count."""
    usage = completion.usage
    return Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else Usage(0, 0)
