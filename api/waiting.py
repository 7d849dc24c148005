"""Reads that wait: `after` until the rows up to a position are there, `settled` until all that follows from them is."""

from typing import Annotated

import psycopg
from fastapi import Depends, Query

from api.context import Ctx
from api.deadline import within
from api.errors import Invalid, Unavailable
from sinks import progress
from streams.positions import Position

ANSWER_S = 5.0  # for Postgres to say how far the sink is


def position(ctx: Ctx, after: str, field: str) -> Position:
    """Raises Invalid (422), naming the field, unless `after` is a position in a topic that the sink reads."""
    try:
        parsed = Position.parse(after)
    except ValueError as error:
        raise Invalid(field, str(error)) from None
    known, last = (ctx.resources.topics.events.name, ctx.resources.topics.memories.name), ctx.settings.partitions - 1
    if parsed.topic not in known or parsed.partition > last:
        raise Invalid(field, f"{after} is not a position of {' or '.join(known)} in partitions 0 to {last}")
    return parsed


async def caught_up(ctx: Ctx, after: str | None, field: str = "body.after") -> None:
    """Until the sink has passed `after`. Raises NotYet or Unavailable (503) past the limit."""
    if after is not None:
        await passed(ctx, position(ctx, after, field), ctx.settings.after_timeout_s)


async def passed(ctx: Ctx, position: Position, limit_s: float) -> None:
    """Until the sink has passed `position`. Raises NotYet or Unavailable (503) after `limit_s` seconds."""
    await within(limit_s + ANSWER_S, progress.wait(ctx.pool, "sink", position, limit_s), "Postgres did not answer")


async def readable(ctx: Ctx, position: Position) -> None:
    """Until what was just written can be read. Raises Unavailable (503) that says it is written all the same."""
    try:
        await passed(ctx, position, ctx.settings.after_timeout_s)
    except (progress.NotYet, psycopg.OperationalError, Unavailable) as error:
        reason = f"stored as {position}, which cannot be read yet; do not repeat it, read with after={position}"
        raise Unavailable(reason) from error


async def settled(ctx: Ctx, after: str | None) -> None:
    """Until rows, memories, words and vectors up to `after` are there. Raises NotSettled (503) past the limit."""
    if after is None:
        raise Invalid("body.after", "settled needs the position to settle up to")
    await ctx.resources.settling.wait(position(ctx, after, "body.after"), ctx.settings.settled_timeout_s)


async def _caught_up(
    ctx: Ctx,
    after: Annotated[
        str | None,
        Query(max_length=300, description="Wait until everything up to this position can be read: `topic/3/1042`."),
    ] = None,
) -> None:
    await caught_up(ctx, after, "query.after")


After = Depends(_caught_up)
"""For the `dependencies` of a read: it takes `after` from the query."""
