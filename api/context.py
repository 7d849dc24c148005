"""What a request works with: settings, rows, the log, the caller; and the anima that it names, if the caller may see it."""

from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request

from agents.embeddings.model import EmbeddingModel
from api.callers import Caller, Identified
from api.errors import Problem
from api.log import Log
from sinks.database import Pool
from stack.settings import Settings
from streams.settling import Settling
from streams.topics import Topics


@dataclass
class Resources:
    """One per process."""

    settings: Settings
    topics: Topics
    pool: Pool
    reading: Pool  # whole packs read one snapshot
    log: Log
    settling: Settling
    model: EmbeddingModel
    model_number: int | None = None  # of the embedding model in this database, once it has embedded anything
    homes: dict[UUID, "Home"] = field(default_factory=dict)


@dataclass(frozen=True)
class Home:
    """Where an anima's records go. Never changes."""

    id: UUID
    key: bytes
    partition: int


@dataclass(frozen=True)
class Context:
    resources: Resources
    caller: Caller

    @property
    def settings(self) -> Settings:
        return self.resources.settings

    @property
    def pool(self) -> Pool:
        return self.resources.pool

    async def model_number(self) -> int | None:
        resources = self.resources
        if resources.model_number is None:
            row = await self.row("SELECT id FROM embedding_models WHERE name = %s", [resources.model.name])
            resources.model_number = row["id"] if row else None
        return resources.model_number

    async def home(self, anima: UUID) -> Home:
        """Raises Problem 404 for an anima that is not there or not the caller's."""
        if self.caller.may_see(anima):
            if (known := self.resources.homes.get(anima)) is not None:
                return known
            row = await self.row("SELECT id, key, partition FROM animas WHERE id = %s", [anima])
            if row is not None:
                home = Home(row["id"], row["key"].encode(), row["partition"])
                self.resources.homes[anima] = home
                return home
        raise Problem(404, f"anima {anima} is not known; POST /api/animas creates one")

    async def row(self, statement: Any, values: Any = None) -> dict[str, Any] | None:
        async with self.pool.connection() as connection:
            return await (await connection.execute(statement, values)).fetchone()

    async def rows(self, statement: Any, values: Any = None) -> list[dict[str, Any]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(statement, values)).fetchall()


def context(request: Request, caller: Identified) -> Context:
    return Context(request.app.state.resources, caller)


Ctx = Annotated[Context, Depends(context)]
