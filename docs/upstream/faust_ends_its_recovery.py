"""faust-streaming 0.15.3: a recovery step that takes too long ends the task of all recoveries, and the worker lives on.

    python faust_ends_its_recovery.py        (no broker needed)

Expected: an error, or another attempt. Found: nothing is logged, the worker stays in its group, and every later
rebalance waits for a recovery that nobody does.

Cause: `Service.wait_first` of mode 0.7.1 answers a time-out with `WaitResults([], [], stopped=True)`, which
`Recovery._wait` takes for the end of the worker; `_restart_recovery` leaves its loop. The steps ask the broker for
offsets, within `broker_request_timeout`.
"""

import asyncio
from typing import Any

import faust


async def main() -> None:
    app = faust.App("ends-its-recovery", broker="kafka://127.0.0.1:9", store="memory://", broker_request_timeout=0.1)
    recovery: Any = app.tables.recovery

    async def never_answers(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    app.Table("counts", partitions=1)
    app.consumer.highwaters = never_answers
    recovery.signal_recovery_start.set()
    task = asyncio.ensure_future(recovery._restart_recovery(recovery))
    await asyncio.wait([task], timeout=5)
    print(f"the task of recoveries has ended: {task.done()}; the worker is stopping: {recovery.should_stop}")
    task.cancel()


asyncio.run(main())
