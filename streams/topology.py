"""The page to read first: which stage reads what, does what, writes where. Wiring only, in the order of the data.

    producers, api ─▶ events ─▶ score ─▶ triggers ─▶ synthesize ─▶ memories
                        │                                            │
                        ├────▶ sink ◀────────────────────────────────┤
                        ├────▶ index ◀───────────────────────────────┤
                        └────▶ embed ◀───────────────────────────────┘

Each stage is one consumer group doing one job, deployable and scalable alone. `elephantasm stage NAME` runs one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from stack.settings import Settings
from streams.topics import Topic, Topics


@dataclass(frozen=True)
class Stage:
    """`step` names the module that does the work; `after` the stages whose rows it waits for."""

    name: str
    step: str
    reads: Callable[[Topics], tuple[Topic, ...]]
    writes: Callable[[Topics], tuple[Topic, ...]]
    after: tuple[str, ...]
    about: str


# In the order of the data: each stage stands behind those that write what it reads.
STAGES = (
    Stage("score", "agents.score", lambda t: (t.events,), lambda t: (t.triggers, t.accumulation, t.events), (),
          "folds the log into a score per anima; emits a trigger for each window that is due; writes ticks"),
    Stage("synthesize", "agents.synthesize", lambda t: (t.triggers,), lambda t: (t.memories, t.dead_letters), ("sink",),
          "claims a window, asks the model, emits a memory"),
    Stage("sink", "sinks.sink", lambda t: (t.events, t.memories, t.dead_letters), lambda t: (t.dead_letters,), (),
          "writes rows and progress in one transaction"),
    Stage("index", "agents.index", lambda t: (t.events, t.memories), lambda t: (), ("sink",),
          "indexes the words of what is visible"),
    Stage("embed", "agents.embed", lambda t: (t.events, t.memories), lambda t: (), ("sink",),
          "gives what is visible its vectors"),
)  # fmt: skip


def stage(name: str) -> Stage:
    """Raises KeyError for a name that is not a stage."""
    return {one.name: one for one in STAGES}[name]


def run(name: str, settings: Settings) -> None:
    """Run one stage until it is told to stop."""
    import_module(stage(name).step).run(settings)
