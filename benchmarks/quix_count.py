"""The baseline of `score`, run by Quix Streams' own environment: count each key's events in its state.

Everything else is as it comes. Prints one JSON line: seconds and CPU seconds from the first
event to the last, the events in between, seconds from the start.
"""

import json
import sys
import time
from typing import Any

STARTED_S = time.monotonic()

from quixstreams import Application, State  # noqa: E402  the clock starts before the import, as for a stage


class Count:
    def __init__(self, total: int) -> None:
        self.total, self.seen = total, 0
        self.first_s = self.last_s = STARTED_S
        self.first_cpu_s = self.last_cpu_s = 0.0

    def __call__(self, value: dict[str, Any], state: State) -> int:
        self.seen += 1
        if self.seen == 1:
            self.first_s, self.first_cpu_s = time.monotonic(), time.process_time()
        elif self.seen == self.total:
            self.last_s, self.last_cpu_s = time.monotonic(), time.process_time()
        number = int(state.get("count", 0)) + 1
        state.set("count", number)
        return number


def main(broker: str, topic: str, total: int, state_dir: str) -> None:
    app = Application(
        broker, consumer_group=f"{topic}.quix", auto_offset_reset="earliest", state_dir=state_dir, loglevel="WARNING"
    )
    count = Count(total)
    source = app.topic(topic, key_deserializer="str", value_deserializer="json")
    app.run(app.dataframe(source).apply(count, stateful=True), count=total, collect=False)
    settled = {
        "events": total - 1,
        "steady_s": count.last_s - count.first_s,
        "cpu_s": count.last_cpu_s - count.first_cpu_s,
    }
    print(json.dumps(settled | {"seen": count.seen, "wall_s": count.last_s - STARTED_S}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
