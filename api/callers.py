"""Who asks, and what they may see. The only place where a caller is identified; every query is scoped by it.

Dependencies are coroutines even where they wait for nothing: FastAPI hands any other function to a thread.
"""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends


@dataclass(frozen=True)
class Caller:
    """`animas` lists what the caller may see; None: all of them."""

    name: str
    animas: frozenset[UUID] | None = None

    def may_see(self, anima: UUID) -> bool:
        return self.animas is None or anima in self.animas

    @property
    def scope(self) -> list[UUID] | None:
        """As the queries take it: `%(scope)s::uuid[] IS NULL OR id = ANY(%(scope)s)`."""
        return None if self.animas is None else sorted(self.animas)


async def identify() -> Caller:
    """Without API keys there is one caller, who may see everything."""
    return Caller("local")


Identified = Annotated[Caller, Depends(identify)]
