"""How far the stages are, for programs and for people."""

from fastapi import APIRouter

from api.context import Ctx
from api.documentation import documented
from streams.history import LagReport

router = APIRouter(tags=["ops"])


@router.get("/lag", summary="How far each stage is behind", responses=documented(403))
async def lag(ctx: Ctx) -> LagReport:
    """In messages and seconds, with a verdict, from Kafka's own offsets.

    `complete` and what is told in seconds is of the process that answers: it watches since it was started.
    """
    ctx.operator()
    return await ctx.resources.lag.report()
