import asyncio

from stack.progress import progress
from stack.readiness import admin_step
from stack.settings import Settings


def migrate(settings: Settings) -> None:
    with progress().step("creating topics and tables"):
        asyncio.run(admin_step(settings, lambda: None))
    print("topics and tables are as this release needs them")
