"""One file per group of endpoints; `routers` in the order of the documentation."""

from api.routes import animas, events, health, packs

routers = (health.router, animas.router, events.router, packs.router)
