"""faust-streaming 0.15.3: a table that cannot apply its changelog keeps its worker in a recovery for ever.

    python faust_recovers_for_ever.py        (no broker needed)

Expected: an error that ends the worker. Found: a warning every five seconds; the recovery neither ends nor fails, and
all agents wait for it.

Cause: `Recovery._slurp_changelogs` catches whatever a table raises and tries the same buffer again; what waits for
`signal_recovery_end` has no limit.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import faust
from faust.types import TP

LIMIT_S = 12.0


async def recovered(name: str, *, full: bool) -> str:
    """Of a table with one record on its changelog; `full`: it raises what a store on a full disk does."""
    app = faust.App(name, broker="kafka://127.0.0.1:9", store="memory://")
    table: Any = app.Table("counts", partitions=1)
    recovery: Any = app.tables.recovery
    tp = TP(table.changelog_topic_name, 0)

    def refuse(batch: object) -> None:
        raise OSError("No space left on device")

    if full:
        table.apply_changelog_batch = refuse
    recovery.add_active(table, tp)
    recovery.active_offsets[tp], recovery.active_highwaters[tp] = -1, 0
    recovery._set_recovery_started()
    message = SimpleNamespace(tp=tp, partition=0, offset=0, key=b'"parcel"', value=b"1")
    app.tables.changelog_queue.put_nowait(SimpleNamespace(message=message, key="parcel", value=1))
    task = asyncio.ensure_future(recovery._slurp_changelogs(recovery))
    try:
        async with asyncio.timeout(LIMIT_S):
            await recovery.signal_recovery_end.wait()
        return "recovered"
    except TimeoutError:
        left = sum(recovery.active_remaining().values())
        return f"after {LIMIT_S:g} s recovers still, of {left} records; the worker is stopping: {recovery.should_stop}"
    finally:
        task.cancel()


async def main() -> None:
    print(f"room on its disk: {await recovered('room', full=False)}")
    print(f"none:             {await recovered('none', full=True)}")


asyncio.run(main())
