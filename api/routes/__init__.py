"""One file per group of endpoints; `routers` in the order of the documentation."""

from api.routes import animas, events, health, lag, lineage, memories, ops, packs, synthesis

routers = (
    health.router,
    animas.router,
    events.router,
    memories.router,
    lineage.router,
    synthesis.router,
    packs.router,
    lag.router,
    ops.router,
)
