"""How far the stages are."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.context import Ctx
from api.documentation import documented
from streams.lag import Lag

router = APIRouter(tags=["ops"])


class PartitionLag(BaseModel):
    stage: str
    group: str = Field(examples=["elephantasm.g1.sink"])
    topic: str
    partition: int
    committed: int | None = Field(description="Next offset of the group; null before its first commit.")
    end: int = Field(description="Next offset of the partition.")
    lag: int = Field(description="Messages between the two.")


class LagReport(BaseModel):
    total: int
    stages: dict[str, int] = Field(description="Lag of each stage over all its partitions.")
    partitions: list[PartitionLag]


@router.get("/lag", summary="How far each stage is behind", responses=documented(403))
async def lag(ctx: Ctx) -> LagReport:
    """In messages, from Kafka's own offsets: what each group has committed against the ends of what it reads."""
    ctx.operator()
    found = await ctx.resources.lags.read()
    return LagReport(
        total=sum(one.lag for one in found),
        stages=by_stage(found),
        partitions=[PartitionLag(**one._asdict()) for one in found],
    )


def by_stage(found: list[Lag]) -> dict[str, int]:
    names = dict.fromkeys(one.stage for one in found)
    return {name: sum(one.lag for one in found if one.stage == name) for name in names}
