"""How long to wait before a provider is asked again."""

from collections.abc import Awaitable, Callable

from tenacity import RetryCallState, wait_random_exponential

from agents.llm.errors import RetryLaterError

# Who is asked for more patience than this does not hold a call open for it.
LONGEST_WAIT_S = 120.0

Sleep = Callable[[float], Awaitable[None]]

_backoff = wait_random_exponential(multiplier=1, max=30)


def wait(state: RetryCallState) -> float:
    """Seconds: exponential backoff with full jitter (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter)
    on top of what the server asked for. A rejected reply is asked for again at once.
    """
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RetryLaterError):
        return min(error.retry_after_s or 0.0, LONGEST_WAIT_S) + _backoff(state)
    return 0.0
