"""`elephantasm lag`: how far each stage is behind: from the API, which watches, or else from Kafka itself."""

import asyncio
import logging
import sys

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from stack.client import Client
from stack.errors import StackError
from stack.settings import Settings
from streams.history import LagReport, PartitionLag
from streams.kafka import bootstrap, topics_of
from streams.lag_watch import LagWatch
from streams.topology import STAGES
from streams.verdict import worst

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
    own = LagWatch(settings) if _of_the_api(settings) is None else None
    if own is not None and watch:
        await own.start()
    try:
        while True:
            report = _of_the_api(settings) if own is None else await own.report()
            if report is None:
                raise StackError("the API does not answer any more; ask again to look without it")
            _print(report, as_json, watch)
            if not watch:
                return
            await asyncio.sleep(EVERY_S)
    finally:
        if own is not None:
            await own.stop()


def _of_the_api(settings: Settings) -> LagReport | None:
    """None if it does not answer, or serves another log or generation."""
    try:
        report = LagReport.model_validate(Client(settings, patience_s=0).get("/lag"))
    except StackError:
        return None
    ours = {topics_of(settings).group(stage.name) for stage in STAGES}
    return report if {stage.group for stage in report.stages.values()} == ours else None


def _print(report: LagReport, as_json: bool, watch: bool) -> None:
    if as_json:
        print(report.model_dump_json(indent=None if watch else 2), flush=True)
        return
    console = Console(highlight=False)
    if watch and sys.stdout.isatty():
        console.clear()
    console.print(table(report))
    if report.complete < 1:
        print(f"watched for {report.complete:.0%} of {report.window_s:g} s: OK means OK so far", flush=True)


def table(report: LagReport) -> Table:
    """A row per stage and topic: verdict, sums, and the partitions that lag."""
    rows = Table("stage", "workers", "verdict", "lag", "waits", "unmoved", "topic", "behind", box=None, pad_edge=False)
    for stage, topic in dict.fromkeys((one.stage, one.topic) for one in report.partitions):
        of_topic = [one for one in report.partitions if (one.stage, one.topic) == (stage, topic)]
        rows.add_row(stage, str(report.stages[stage].members), *_row(of_topic), topic, _behind(of_topic))
    return rows


def _row(partitions: list[PartitionLag]) -> tuple[str, ...]:
    return (
        worst([one.verdict for one in partitions]).value,
        f"{sum(one.lag for one in partitions):,}",
        f"{max(one.seconds for one in partitions):.1f} s",
        f"{max(one.commit_age_s for one in partitions):.1f} s",
    )


def _behind(partitions: list[PartitionLag]) -> str:
    """Which partitions, and by how much."""
    return ", ".join(f"{one.partition}: {one.lag:,}" for one in partitions if one.lag) or "none"
