"""When an anima's events become a memory: its weights, and how far it is."""

import asyncio
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from agents.score import rule_of
from api.context import Context, Ctx, Home
from api.documentation import documented
from api.pending import Pending, PendingEvent, pending
from api.routes.animas import change
from api.waiting import After
from sinks.copy import moment
from sinks.database import sql
from streams.positions import Position
from streams.records import Configure, Weights
from tables.accumulation import HOUR_MS, Rule, Window, due, score

router = APIRouter(prefix="/animas/{anima_id}", tags=["synthesis"])
MOST_EVENTS = 5_000  # pending events read for a status: several times what one window may hold


class SynthesisConfig(Weights):
    anima_id: UUID
    source: Literal["own", "default"] = Field(description="Whether the weights are the anima's own.")


class Factor(BaseModel):
    amount: float
    weight: float
    contribution: float = Field(description="amount x weight")

    @classmethod
    def of(cls, amount: float, weight: float) -> "Factor":
        return cls(amount=amount, weight=weight, contribution=amount * weight)


class Factors(BaseModel):
    hours: Factor = Field(description="Hours of log time since the first pending event.")
    events: Factor
    tokens: Factor


class PendingWindow(BaseModel):
    first: str = Field(description="Position of the first pending event.")
    last: str = Field(description="Position of the last pending event.")
    since: datetime = Field(description="Log time from which the hours count.")


class SynthesisStatus(BaseModel):
    anima_id: UUID
    score: float
    threshold: float
    factors: Factors
    window: PendingWindow | None = Field(description="The events that accumulate; null: none.")
    fires_at: datetime | None = Field(
        description="Log time at which the window is due if nothing more comes; null: no time alone makes it due."
    )
    due_windows: int = Field(description="Windows that are due already and wait for their synthesis.")
    clock: datetime | None = Field(description="Log time of this status.")


@router.get("/synthesis-config", summary="Weights in force", dependencies=[After], responses=documented(404))
async def get_config(ctx: Ctx, anima_id: UUID) -> SynthesisConfig:
    """The anima's own weights, or the defaults (`ELEPHANTASM_TIME_WEIGHT` …)."""
    await ctx.home(anima_id)
    return await _config(ctx, anima_id)


@router.put("/synthesis-config", summary="Set an anima's weights", responses=documented(400, 404, 413))
async def put_config(ctx: Ctx, anima_id: UUID, weights: Weights) -> SynthesisConfig:
    """They hold from their place in the log on; answers when they can be read."""
    await change(ctx, await ctx.home(anima_id), Configure(weights=weights))
    return await _config(ctx, anima_id)


@router.delete("/synthesis-config", summary="Return to the default weights", responses=documented(404))
async def delete_config(ctx: Ctx, anima_id: UUID) -> SynthesisConfig:
    """Answers with the defaults when they are in force."""
    await change(ctx, await ctx.home(anima_id), Configure(weights=None))
    return await _config(ctx, anima_id)


async def _config(ctx: Context, anima: UUID) -> SynthesisConfig:
    own = await _own(ctx, anima)
    if own is not None:
        return SynthesisConfig(anima_id=anima, source="own", **own)
    defaults = {name: getattr(ctx.settings, name) for name in Weights.model_fields}
    return SynthesisConfig(anima_id=anima, source="default", **defaults)


async def _own(ctx: Context, anima: UUID) -> dict[str, float] | None:
    row = await ctx.row("SELECT weights FROM animas WHERE id = %s", [anima])
    return row["weights"] if row else None


@router.get("/synthesis-status", summary="How far the next memory is", dependencies=[After], responses=documented(404))
async def get_status(ctx: Ctx, anima_id: UUID) -> SynthesisStatus:
    """Computed from the rows by the rule that decides. Where it may differ from the stage `score`:

    the clock is the latest log time that events and animas of the partition show (ticks have no rows: it may be late);
    hours count from the first pending event's own timestamp (of a back-filled event the stage counts from its clock);
    repeats of an event count in the stage, but have no row; all events are counted by the weights of now; and of a
    backlog beyond 5,000 unclaimed events only the first 5,000 are looked at.
    """
    home = await ctx.home(anima_id)
    own, events, clock = await _own(ctx, anima_id), await _events(ctx, anima_id), await _clock(ctx, home)
    weights = Weights(**own) if own else None
    chosen = (weights.time_weight, weights.event_weight, weights.token_weight, weights.threshold) if weights else None
    found = await asyncio.to_thread(pending, events, chosen, rule_of(ctx.settings), clock)
    return _status(ctx, home, found, clock)


async def _events(ctx: Context, anima: UUID) -> list[PendingEvent]:
    values = {"anima": anima, "generation": ctx.settings.generation, "most": MOST_EVENTS}
    rows = await ctx.rows(sql("synthesis_pending"), values)
    return [PendingEvent(row["offset"], _ms(row["recorded_at"]), row["content"]) for row in rows]


async def _clock(ctx: Context, home: Home) -> int:
    row = await ctx.row(sql("log_clock"), [home.partition])
    return _ms(row["clock"]) if row and row["clock"] else 0


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _status(ctx: Context, home: Home, found: Pending, clock: int) -> SynthesisStatus:
    rule, window = found.state.rule(rule_of(ctx.settings)), found.state.window
    fires_at = due(window, rule)
    return SynthesisStatus(
        anima_id=home.id,
        score=score(window, rule, clock),
        threshold=rule.threshold,
        factors=_factors(window, rule, clock),
        window=_window(ctx, home, window),
        fires_at=None if fires_at is None else moment(fires_at),
        due_windows=found.due_windows,
        clock=moment(clock) if clock else None,
    )


def _factors(window: Window | None, rule: Rule, clock: int) -> Factors:
    hours = max(0, clock - window.since) / HOUR_MS if window else 0.0
    return Factors(
        hours=Factor.of(hours, rule.time_weight),
        events=Factor.of(window.events if window else 0, rule.event_weight),
        tokens=Factor.of(window.tokens if window else 0, rule.token_weight),
    )


def _window(ctx: Context, home: Home, window: Window | None) -> PendingWindow | None:
    if window is None:
        return None
    topic = ctx.resources.topics.events.name
    places: dict[str, Any] = {
        "first": str(Position(topic, home.partition, window.first_offset)),
        "last": str(Position(topic, home.partition, window.last_offset)),
    }
    return PendingWindow(**places, since=moment(window.since))
