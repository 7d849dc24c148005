"""Reads that wait: `after` until the rows up to a position are there, `settled` until all that follows from them is."""

from api.context import Ctx
from api.errors import Problem
from sinks import progress
from streams.positions import Position


def position(ctx: Ctx, after: str) -> Position:
    """Raises Problem 422 unless `after` is a position in one of our topics."""
    try:
        parsed = Position.parse(after)
    except ValueError as error:
        raise Problem(422, [{"field": "after", "reason": str(error)}]) from None
    known = {ctx.resources.topics.events.name, ctx.resources.topics.memories.name}
    if parsed.topic not in known or parsed.partition >= ctx.settings.partitions:
        reason = f"{after} is not a position of {' or '.join(sorted(known))} in partitions 0 to {ctx.settings.partitions - 1}"
        raise Problem(422, [{"field": "after", "reason": reason}])
    return parsed


async def caught_up(ctx: Ctx, after: str | None) -> None:
    """Until the sink has passed `after`. Raises NotYet (503) past the limit."""
    if after is not None:
        await progress.wait(ctx.pool, "sink", position(ctx, after), ctx.settings.after_timeout_s)


async def settled(ctx: Ctx, after: str | None) -> None:
    """Until rows, memories, words and vectors up to `after` are there. Raises NotSettled (503) past the limit."""
    if after is None:
        raise Problem(422, [{"field": "body.after", "reason": "settled needs the position to settle up to"}])
    await ctx.resources.settling.wait(position(ctx, after), ctx.settings.settled_timeout_s)
