"""A Faust worker on our transport that counts the log per key: `python -m tests.live.counting`.

It uses the stage's own parts (app, batches, table, late acknowledgement), and nothing of the accumulation rule.
"""

import asyncio
import sys
from typing import Any

from stack.settings import Settings
from streams.app import faust_app, run_worker, wire
from streams.batching import send_rows
from streams.kafka import producer, topics_of
from streams.positions import anima_of
from tables.accumulation import Accumulation, Window
from tables.store import AccumulationTable

PACE_S = 0.001  # per record, so that faults hit batches under way


class Count:
    def __init__(self, app: Any, settings: Settings) -> None:
        self.settings, self.table, self.assignment = settings, AccumulationTable(app, settings.partitions), 0
        self.acknowledging: set[asyncio.Task[None]] = set()
        app.on_partitions_revoked.connect(self.revoked)

    async def revoked(self, *_: Any, **__: Any) -> None:
        self.assignment += 1

    async def run(self, stream: Any) -> None:
        changelog = topics_of(self.settings).accumulation.name
        async with producer(self.settings) as kafka:
            async for batch in stream.noack().events():
                assignment, partition = self.assignment, batch.message.tp.partition
                await asyncio.sleep(PACE_S * len(batch.value))
                if assignment != self.assignment:
                    continue
                rows = self.table.write(partition, self.counted(batch.value), [])
                deliveries = await send_rows(kafka, changelog, partition, rows)
                task = asyncio.ensure_future(self.acknowledge(batch, deliveries, assignment))
                self.acknowledging.add(task)
                task.add_done_callback(self.acknowledging.discard)

    def counted(self, records: list[Any]) -> dict[Any, Accumulation]:
        states: dict[Any, Accumulation] = {}
        for record in records:
            anima = anima_of(record.key)
            state = states.get(anima) or self.table.load(anima)
            if record.offset > state.absorbed:
                count = state.window.events if state.window else 0
                states[anima] = Accumulation(record.offset, Window(0, record.offset, count + 1, 0, 0))
        return states

    async def acknowledge(self, batch: Any, deliveries: list[Any], assignment: int) -> None:
        await asyncio.gather(*deliveries)
        if assignment == self.assignment:
            batch.ack()


def main() -> None:
    settings = Settings(_env_file=None)
    app = faust_app(settings, "score")
    app.conf.broker_max_poll_records = 300
    wire(app, topics_of(settings).events, "count", Count(app, settings).run)
    sys.argv = sys.argv[:1]
    run_worker(app, settings)


if __name__ == "__main__":
    main()
