"""Every topic once: its name, who writes it, how it is kept, what it carries."""

from dataclasses import dataclass, field
from functools import cache

from streams.records import Configure, Event, Memory, Recall, Record, SynthesisTrigger, Tick

MINUTE_MS = 60_000
DAY_MS = 86_400_000
LETTER_BYTES = 8_000_000
# A restarting worker reads all that is not compacted yet: only closed segments are, and here they are soon full.
COMPACT = {
    "cleanup.policy": "compact",
    "segment.bytes": str(4 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.3",
    # Long enough for whoever owns the partition to notice, and mend, what another worker wrote last, by one clock.
    "min.compaction.lag.ms": str(10 * MINUTE_MS),
    "message.timestamp.type": "LogAppendTime",
}


@dataclass(frozen=True)
class Topic:
    name: str
    written_by: tuple[str, ...]
    values: tuple[type[Record], ...]
    config: dict[str, str] = field(default_factory=dict)
    about: str = ""


@dataclass(frozen=True)
class Topics:
    """The topics of one generation. Consumer groups are named by `group`."""

    prefix: str
    generation: int
    events: Topic
    triggers: Topic
    memories: Topic
    dead_letters: Topic
    accumulation: Topic

    def group(self, stage: str) -> str:
        return f"{self.prefix}g{self.generation}.{stage}"

    def all(self) -> tuple[Topic, ...]:
        return (self.events, self.triggers, self.memories, self.dead_letters, self.accumulation)


@cache
def topics(prefix: str, generation: int) -> Topics:
    derived = f"{prefix}g{generation}."
    return Topics(
        prefix=prefix,
        generation=generation,
        events=Topic(
            f"{prefix}events",
            ("producers", "api", "score"),
            (Event, Configure, Recall, Tick),
            {
                "cleanup.policy": "delete",
                "retention.ms": "-1",
                "retention.bytes": "-1",
                "message.timestamp.type": "CreateTime",
                # Back-fill keeps its own time; nobody can push a partition's clock by more than a minute.
                "message.timestamp.after.max.ms": str(MINUTE_MS),
            },
            "The log: the only source of truth, ordered per anima.",
        ),
        triggers=Topic(
            f"{derived}triggers",
            ("score", "api"),
            (SynthesisTrigger,),
            {"cleanup.policy": "delete", "retention.ms": "-1"},
            "Windows that are due to be synthesised.",
        ),
        memories=Topic(
            f"{derived}memories",
            ("synthesize", "api"),
            (Memory,),
            {"cleanup.policy": "delete", "retention.ms": "-1"},
            "Revisions of memories.",
        ),
        dead_letters=Topic(
            f"{prefix}dead-letters",
            ("sink", "synthesize", "api"),
            (),
            {
                "cleanup.policy": "delete",
                "retention.ms": str(30 * DAY_MS),
                # A letter is larger than its record: what passed a topic's limit compressed must still find room here.
                "max.message.bytes": str(2 * LETTER_BYTES),
            },
            "Records that could not be processed: original bytes, where from and why; and what was decided.",
        ),
        accumulation=Topic(
            f"{derived}score-accumulation-changelog",
            ("score",),
            (),
            COMPACT,
            "Changelog of the table `accumulation`.",
        ),
    )
