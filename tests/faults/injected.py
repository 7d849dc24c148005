"""One fault from its harm to the recovery from it."""

import time
from dataclasses import dataclass, field

from tests.faults.console import say
from tests.faults.kinds import Kind, NotHit
from tests.faults.probe import NotRecovered, complete, recovered
from tests.faults.scene import Scene
from tests.faults.violation import Violation


@dataclass
class Injected:
    """`until` in seconds since the epoch; `recovery_s` from when the harm was over, None if it never recovered;
    `problem` then says why.
    """

    kind: Kind
    until: float = 0.0
    recovery_s: float | None = None
    problem: str = ""
    violations: list[Violation] = field(default_factory=list)


async def inject(here: Scene, kind: Kind, number: str) -> Injected:
    """Returns when everything works again and runs, or has not within the limit."""
    injected = Injected(kind)
    try:
        await kind.inject(here)
        recovery_s = await recovered(here.settings)
        here.mended()
        await complete(here.stack)
        injected.recovery_s = recovery_s
    except (NotRecovered, NotHit, AssertionError) as error:
        injected.problem = str(error) or repr(error)
    came_of_it = f"NOT SURVIVED: {injected.problem}" if injected.problem else f"recovered in {recovery_s:.1f} s"
    say(f"{number}  {kind.of}: {kind.name}: {came_of_it}")
    here.mended()
    injected.until = time.time()
    return injected
