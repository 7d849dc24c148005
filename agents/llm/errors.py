"""What can go wrong between a call and its reply, named for what the caller does next.

ModelError
├── RetryLaterError    transient: nothing was decided, leave the trigger where it is and come back
├── InvalidReplyError  the model answered outside the contract, attempts are used up: dead-letter
├── RefusedError       this input will never be answered: dead-letter, do not ask again
├── OverBudgetError    the anima has spent its day: defer, the trigger stays
└── WrongSettingError  no call of this process can succeed: stop, the message names the setting
"""

from datetime import datetime


class ModelError(Exception):
    """Every error that a language model or the shell around it raises."""


class RetryLaterError(ModelError):
    """`retry_after_s` is what the server asked for, in seconds; None if it did not say."""

    def __init__(self, problem: str, retry_after_s: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after_s = retry_after_s


class InvalidReplyError(ModelError):
    """Carries the reply as it came and the tokens that were paid for it."""

    def __init__(self, problem: str, *, raw: str = "", input_tokens: int = 0, output_tokens: int = 0) -> None:
        super().__init__(problem)
        self.raw = raw
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


class RefusedError(ModelError):
    """Carries the tokens that were paid for the refusal; 0 if the request was turned away unread."""

    def __init__(self, problem: str, *, input_tokens: int = 0, output_tokens: int = 0) -> None:
        super().__init__(problem)
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


class OverBudgetError(ModelError):
    """`spent` tokens since `since` reach `limit`. There is room again when the first of those calls is a day old."""

    def __init__(self, anima_id: object, *, spent: int, limit: int, since: datetime) -> None:
        super().__init__(f"anima {anima_id} has spent {spent} of {limit} tokens since {since:%Y-%m-%d %H:%M} UTC")
        self.spent = spent
        self.limit = limit
        self.since = since


class WrongSettingError(ModelError):
    """The message names the environment variable and what is wrong with its value."""
