"""`elephantasm lag`: how far each stage is behind, in messages, from Kafka's own offsets."""

import asyncio
import json
import logging
import sys
from collections.abc import Sequence

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from stack.errors import StackError
from stack.settings import Settings
from streams.kafka import bootstrap
from streams.lag import Lag, Lags

EVERY_S = 1.0


def lag(settings: Settings, as_json: bool, watch: bool) -> None:
    """Once, or every second until Ctrl-C. Raises StackError if Kafka cannot be reached."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong is said once, below
    try:
        asyncio.run(_show(settings, as_json, watch))
    except KeyboardInterrupt:
        return
    except KafkaError as error:
        raise StackError(
            f"Kafka at {bootstrap(settings)} cannot be reached ({error}). `elephantasm up` starts one; "
            "ELEPHANTASM_KAFKA names another."
        ) from None


async def _show(settings: Settings, as_json: bool, watch: bool) -> None:
    lags, console = Lags(settings), Console(highlight=False)
    try:
        while True:
            found = await lags.read()
            if as_json:
                print(json.dumps([one._asdict() for one in found], indent=None if watch else 2), flush=True)
            else:
                if watch and sys.stdout.isatty():
                    console.clear()
                console.print(table(found))
            if not watch:
                return
            await asyncio.sleep(EVERY_S)
    finally:
        await lags.stop()


def table(found: Sequence[Lag]) -> Table:
    """A row per stage and topic: partitions that lag, by how much, and the sum."""
    rows = Table("stage", "topic", "lag", "partitions behind", box=None, pad_edge=False)
    for stage, topic in dict.fromkeys((one.stage, one.topic) for one in found):
        of_topic = [one for one in found if (one.stage, one.topic) == (stage, topic)]
        behind = ", ".join(f"{one.partition}: {one.lag:,}" for one in of_topic if one.lag)
        rows.add_row(stage, topic, f"{sum(one.lag for one in of_topic):,}", behind or "none")
    return rows
