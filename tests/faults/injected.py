"""One fault from its harm to the recovery from it."""

import time
from dataclasses import dataclass, field

from tests.faults.console import say
from tests.faults.kinds import Kind, NotHit
from tests.faults.probe import NotRecovered, recovered
from tests.faults.scene import Scene
from tests.faults.violation import Violation


@dataclass
class Injected:
    """`until` in seconds since the epoch; `recovery_s` from when the harm was over, None if it never recovered."""

    kind: Kind
    until: float = 0.0
    recovery_s: float | None = None
    violations: list[Violation] = field(default_factory=list)


async def inject(here: Scene, kind: Kind, number: str) -> Injected:
    """Returns when everything works again, or has not within the limit."""
    injected = Injected(kind)
    try:
        await kind.inject(here)
        injected.recovery_s = await recovered(here.settings)
        came_of_it = f"recovered in {injected.recovery_s:.1f} s"
    except (NotRecovered, NotHit) as error:
        came_of_it = f"NOT SURVIVED: {error}"
    say(f"{number}  {kind.of}: {kind.name}: {came_of_it}")
    here.mended()
    injected.until = time.time()
    return injected
