"""faust-streaming 0.15.3: what is acknowledged while a commit is under way is not committed when the worker stops.

    python faust_leaves_out_last_commit.py        (no broker needed)

Cause: `Consumer.on_stop` commits through `Consumer.commit`, which waits for a commit that is under way and then returns
without one of its own. The one under way has taken its offsets before. The events after them are processed again.
"""

import asyncio

import faust


async def main() -> None:
    consumer = faust.App("last-commit", broker="kafka://127.0.0.1:9", stream_wait_empty=False).consumer
    acknowledged, committed = 1, 0
    under_way, confirmed = asyncio.Event(), asyncio.Event()

    async def force_commit(*_: object, **__: object) -> bool:
        """As Faust's: takes the offsets that are acknowledged by now, and waits for the broker."""
        nonlocal committed
        offset = acknowledged
        under_way.set()
        await confirmed.wait()
        committed = offset
        return True

    consumer.force_commit = force_commit
    periodic = asyncio.ensure_future(consumer.commit())
    await under_way.wait()
    acknowledged = 2
    stopping = asyncio.ensure_future(consumer.commit_and_end_transactions())  # all that `Consumer.on_stop` does
    await asyncio.sleep(0)
    confirmed.set()
    await asyncio.gather(periodic, stopping)
    print(f"acknowledged {acknowledged}, committed {committed}")


asyncio.run(main())
