"""What a request works with: settings, rows, the log, and what of them the caller may see."""

from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request

from agents.embeddings.model import EmbeddingModel
from api.callers import Caller, Identified
from api.deadline import within
from api.errors import Problem
from api.log import Log
from api.packs.layer_cache import LayerCache
from sinks.database import Pool
from stack.settings import Settings
from streams.lag_watch import LagWatch
from streams.settling import Settling
from streams.topics import Topics

POSTGRES_S = 10.0
KNOWN_HOMES = 100_000


@dataclass
class Resources:
    """One per process."""

    settings: Settings
    topics: Topics
    pool: Pool
    reading: Pool  # for packs and searches: reads only, by generic plans
    log: Log
    settling: Settling
    lag: LagWatch
    model: EmbeddingModel
    layers: LayerCache
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
                return self._remember(Home(row["id"], row["key"].encode(), row["partition"]))
        raise Problem(404, f"anima {anima} is not known; POST /api/animas creates one")

    def _remember(self, home: Home) -> Home:
        if len(self.resources.homes) >= KNOWN_HOMES:
            self.resources.homes.clear()
        self.resources.homes[home.id] = home
        return home

    def owned(self, row: dict[str, Any] | None, what: str) -> dict[str, Any]:
        """The row of one item, if it is there and of an anima that the caller may see. Raises Problem 404."""
        if row is None or not self.caller.may_see(row["anima_id"]):
            raise Problem(404, f"{what} is not known")
        return row

    def operator(self) -> None:
        """For what concerns all animas together. Raises Problem 403 for a caller who may see only some."""
        if self.caller.animas is not None:
            raise Problem(403, "this needs a caller who may see every anima")

    async def row(self, statement: Any, values: Any = None) -> dict[str, Any] | None:
        rows = await self.rows(statement, values)
        return rows[0] if rows else None

    async def rows(self, statement: Any, values: Any = None, pool: Pool | None = None) -> list[dict[str, Any]]:
        """Raises psycopg.OperationalError or Unavailable if Postgres is away."""
        return await within(POSTGRES_S, _fetch(pool or self.pool, statement, values), "Postgres did not answer")


async def _fetch(pool: Pool, statement: Any, values: Any) -> list[dict[str, Any]]:
    async with pool.connection() as connection:
        return await (await connection.execute(statement, values)).fetchall()


async def context(request: Request, caller: Identified) -> Context:
    return Context(request.app.state.resources, caller)


Ctx = Annotated[Context, Depends(context)]
