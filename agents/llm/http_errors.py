"""What an HTTP status means for the caller: the same for every provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from agents.llm.errors import ModelError, RefusedError, RetryLaterError, WrongSettingError

_TRANSIENT = frozenset({408, 409, 425, 429})
_WRONG_KEY = frozenset({401, 402, 403})
_LONGEST_QUOTED = 500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where calls go, in the words of the settings, so that an error can say which of them to change."""

    key_setting: str
    model: str
    base_url: str


def from_status(status: int, message: str, headers: Mapping[str, str], endpoint: Endpoint) -> ModelError:
    """The error to raise for a reply with an HTTP status of 400 and up."""
    told = f"{endpoint.base_url} answered {status}: {message[:_LONGEST_QUOTED]}"
    if status in _WRONG_KEY:
        return WrongSettingError(f"{endpoint.key_setting} was not accepted: {told}")
    if status == 404:
        return WrongSettingError(
            f"ELEPHANTASM_LLM_MODEL={endpoint.model!r} or ELEPHANTASM_LLM_BASE_URL is wrong: {told}"
        )
    if status in _TRANSIENT or status >= 500:
        return RetryLaterError(told, retry_after_s(headers, datetime.now(UTC)))
    return RefusedError(told)


def unreadable(endpoint: Endpoint, provider: str) -> WrongSettingError:
    """The error to raise when a server answers 200 with something that is not the API's."""
    return WrongSettingError(f"ELEPHANTASM_LLM_BASE_URL={endpoint.base_url!r} does not answer like {provider}'s API")


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (RFC 9110, 10.2.3: seconds or a date), if given."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        return _seconds(headers["retry-after"], now) if "retry-after" in headers else None
    except ValueError:
        return None


def _seconds(value: str, now: datetime) -> float:
    if value.strip().isdecimal():
        return float(value)
    # "-0000" says UTC without a time zone, and comes back naive.
    moment = parsedate_to_datetime(value)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
