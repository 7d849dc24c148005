"""The topic of dead letters into rows, within the sink's transaction: letters, then what was decided about them."""

from collections.abc import Iterable
from typing import Any

import psycopg
import structlog
from aiokafka.structs import ConsumerRecord

from sinks.copy import copy_rows, moment
from sinks.database import sql
from streams.dead_letters import DeadLetter, Decision, NotOurs, read

COLUMNS = (
    "id", "topic", "partition", "offset", "stage", "reason", "key", "value", "recorded_at", "failed_at", "attempts",
    "first_partition", "first_offset",
)  # fmt: skip
log = structlog.get_logger()


async def write(connection: psycopg.AsyncConnection[Any], records: "Iterable[ConsumerRecord[bytes, bytes]]") -> None:
    """In their order. Of repeats the first counts; what is neither letter nor decision is passed over."""
    letters: dict[Any, DeadLetter] = {}
    decisions: dict[Any, Decision] = {}
    for raw in records:
        try:
            found = read(raw)
        except NotOurs as error:
            log.warning("not one of our dead letters", partition=raw.partition, offset=raw.offset, error=str(error))
            continue
        if isinstance(found, Decision):
            decisions.setdefault(found.letter, found)
        else:
            letters.setdefault(found.id, found)
    if letters:
        await connection.execute(sql("dead_letters_incoming"))
        await copy_rows(connection, "incoming_letters", COLUMNS, map(_row, letters.values()))
        await connection.execute(sql("dead_letters_upsert"))
    if decisions:
        await connection.execute(sql("dead_letters_decide"), _columns(decisions))


def _row(letter: DeadLetter) -> tuple[Any, ...]:
    _, first_partition, first_offset = letter.first or letter.source
    return (
        letter.id.hex, *letter.source, letter.stage, _storable(letter.reason), letter.key, letter.value,
        moment(letter.timestamp_ms), moment(letter.failed_ms or 0), letter.attempts, first_partition, first_offset,
    )  # fmt: skip


def _columns(decisions: dict[Any, Decision]) -> list[list[Any]]:
    return [
        list(decisions),
        [one.verdict.value for one in decisions.values()],
        [moment(one.timestamp_ms or 0) for one in decisions.values()],
        [_storable(one.by) for one in decisions.values()],
        [_storable(one.note) for one in decisions.values()],
    ]


def _storable(text: str) -> str:
    return text.replace("\x00", "�")
