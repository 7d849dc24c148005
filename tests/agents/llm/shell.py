"""The shell under test, with time that passes only where it waits."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from agents.llm.calls import Calls, Limits
from agents.llm.ledger import Ledger
from agents.llm.model import LanguageModel
from tests.agents.llm.ledgers import Alone
from tests.agents.llm.wire import MEMORY

INES = UUID("11111111-1111-4111-8111-111111111111")
GOOD = json.dumps(MEMORY)
LIMITS = Limits(concurrency=2, attempts=4, timeout_s=5, daily_tokens=1_000)


@dataclass
class Clock:
    now: datetime = datetime(2026, 3, 5, 12, tzinfo=UTC)
    waits: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)


def shell(model: LanguageModel, ledger: Ledger, clock: Clock, **limits: Any) -> Calls:
    return Calls(model, ledger, Alone(), replace(LIMITS, **limits), now=clock, sleep=clock.sleep)
