"""What one poll brought the sink, as far as it can be made ready before its transaction. No I/O."""

from dataclasses import dataclass, field

from aiokafka.structs import ConsumerRecord

from sinks.events import Arrivals
from sinks.memories import Stored
from sinks.recalls import Served
from streams.consumer import Batches
from streams.dead_letters import DeadLetter
from streams.decode import decode, read
from streams.records import Memory, Recall, Tick


@dataclass
class Prepared:
    """By what becomes of it. `grave` is what was read from the topic of dead letters, `failed` goes there."""

    batches: Batches
    arrivals: Arrivals = field(default_factory=Arrivals)
    served: list[Served] = field(default_factory=list)
    revisions: list[Stored] = field(default_factory=list)
    grave: "list[ConsumerRecord[bytes, bytes]]" = field(default_factory=list)
    failed: list[DeadLetter] = field(default_factory=list)

    def add_of_log(self, raw: "ConsumerRecord[bytes, bytes]", partitions: int) -> None:
        """Raises Undecodable."""
        anima, record = decode(raw, partitions)
        if anima is None or isinstance(record, Tick):
            return
        if isinstance(record, Recall):
            self.served.append(Served(anima, raw.partition, raw.offset, raw.timestamp, record))
        else:
            self.arrivals.add(anima, raw, record)

    def add_memory(self, raw: "ConsumerRecord[bytes, bytes]") -> None:
        """Raises Undecodable."""
        self.revisions.append((read(Memory, raw), raw.partition, raw.offset))
