"""One file per group of endpoints; `routers` in the order of the documentation."""

from api.routes import animas, dead_letters, events, health, lag, lineage, memories, packs, synthesis

routers = (
    health.router,
    animas.router,
    events.router,
    memories.router,
    lineage.router,
    synthesis.router,
    packs.router,
    lag.router,
    dead_letters.router,
)
