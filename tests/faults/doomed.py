"""A worker that kills or freezes itself at a named point: `python -m tests.faults.doomed POINT HIT SIGNAL STAGE`.

The product knows nothing of it: the functions around the point are wrapped in this process, before the stage starts.
"""

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, Literal, NamedTuple

from sinks.database import sql
from sinks.events import Change
from stack.environment import configured

LINGER_S = 0.6  # longer than the pause between two commits of source offsets
Counts = Callable[[tuple[Any, ...], Any], bool]


def _always(arguments: tuple[Any, ...], result: Any) -> bool:
    return True


def _some(number: int) -> Counts:
    """Calls whose argument of that number is not empty."""
    return lambda arguments, result: bool(arguments[number])


def _to(topic: str) -> Counts:
    """Records to a topic, by the end of its name; batches that are empty do not count."""
    return lambda arguments, result: arguments[1].endswith(topic) and (len(arguments) < 4 or bool(arguments[3]))


def _inserts(query: str) -> Counts:
    return lambda arguments, result: arguments[1] == sql(query)


def _changes_alone(arguments: tuple[Any, ...], result: Any) -> bool:
    """Of what the sink has prepared: no event is among it, whose id would be refused the second time."""
    entries = arguments[1].arrivals.entries
    return bool(entries) and all(isinstance(entry, Change) for entry in entries)


def _in_its_turn(arguments: tuple[Any, ...], result: Any) -> bool:
    """Of looks into the ledger: the one right before the request. An earlier one is made before any attempt."""
    return result is None and bool(arguments[1].attempts)


def _committed(arguments: tuple[Any, ...], result: Any) -> bool:
    """Of a transaction's end: no exception ends it."""
    return arguments[1] is None


class Point(NamedTuple):
    """Before or after a call of `place` (`module:name`), of the calls that count, given arguments and result.

    `delivered` is after the call and the futures that it returned.
    """

    stage: str
    moment: str
    side: Literal["before", "after", "delivered"]
    place: str
    counts: Counts = _always

    @property
    def name(self) -> str:
        return f"{self.stage}: {self.moment}"


ACK, FAUST_COMMIT = "faust.events:Event.ack", "streams.lossless:BatchConsumer._commit"
SEND_ROWS, SEND = "agents.score:send_rows", "aiokafka:AIOKafkaProducer.send_and_wait"
LEDGER, EXECUTE = "agents.llm.ledger:PostgresLedger", "psycopg:AsyncConnection.execute"
END, KAFKA_COMMIT = "psycopg:AsyncTransaction.__aexit__", "aiokafka:AIOKafkaConsumer.commit"
APPEND = "api.log:Log.append"

POINTS = (
    Point("score", "triggers on their way", "after", SEND_ROWS, _to("triggers")),
    Point("score", "triggers delivered, states not in the table", "delivered", SEND_ROWS, _to("triggers")),
    Point("score", "states in the table, not sent", "after", "tables.store:AccumulationTable.write", _some(2)),
    Point("score", "states on their way", "after", SEND_ROWS, _to("changelog")),
    Point("score", "states delivered", "delivered", SEND_ROWS, _to("changelog")),
    Point("score", "before the acknowledgement", "before", ACK),
    Point("score", "acknowledged", "after", ACK),
    Point("score", "before the source offsets are committed", "before", FAUST_COMMIT),
    Point("score", "source offsets committed", "after", FAUST_COMMIT, lambda _, result: bool(result)),
    Point("synthesize", "sink passed, window not claimed", "before", "sinks.windows:claim"),
    Point("synthesize", "claim inserted, not committed", "after", EXECUTE, _inserts("windows_insert")),
    Point("synthesize", "window claimed", "after", "sinks.windows:claim", lambda _, window: window is not None),
    Point("synthesize", "events read", "after", "sinks.windows:window_events"),
    Point("synthesize", "not in the ledger, not asked", "after", f"{LEDGER}.get", lambda _, found: found is None),
    Point("synthesize", "reply arrived, not in the ledger", "before", f"{LEDGER}.put"),
    Point("synthesize", "reply in the ledger, memory not sent", "after", f"{LEDGER}.put"),
    Point("synthesize", "memory on its way", "after", "aiokafka:AIOKafkaProducer.send", _to("memories")),
    Point("synthesize", "memory delivered", "after", SEND, _to("memories")),
    Point("synthesize", "before the acknowledgement", "before", ACK),
    Point("synthesize", "acknowledged", "after", ACK),
    Point("synthesize", "source offsets committed", "after", FAUST_COMMIT, lambda _, result: bool(result)),
    Point("sink", "progress moved, no rows", "after", "sinks.progress:advance"),
    Point("sink", "events copied", "after", "sinks.events:write", _some(2)),
    Point("sink", "memories copied", "after", "sinks.memories:write", _some(1)),
    Point("sink", "letters buried", "after", "sinks.sink:bury"),
    Point("sink", "before the commit", "before", END, _committed),
    Point("sink", "committed, Kafka's offsets not", "after", END, _committed),
    Point("sink", "Kafka's offsets committed", "after", KAFKA_COMMIT),
    Point("index", "rows written, not committed", "after", "agents.index:write", _some(1)),
    Point("index", "committed, Kafka's offsets not", "after", END, _committed),
    Point("embed", "vectors computed", "after", "agents.embeddings.openai:OpenAI.embed"),
    Point("embed", "rows written, not committed", "after", "sinks.vectors:store", _some(3)),
    Point("embed", "committed, Kafka's offsets not", "after", END, _committed),
    Point("api", "event not sent", "before", APPEND),
    Point("api", "event acknowledged, not answered", "after", APPEND),
)
FROZEN = {
    "score: triggers delivered, states not in the table", "score: states in the table, not sent",
    "synthesize: claim inserted, not committed", "synthesize: window claimed",
    "synthesize: reply arrived, not in the ledger", "synthesize: reply in the ledger, memory not sent",
    "sink: progress moved, no rows", "sink: before the commit", "index: rows written, not committed",
}  # fmt: skip
FREEZES = (
    *(point for point in POINTS if point.name in FROZEN),
    Point("synthesize", "turn taken, not asked", "after", "agents.llm.calls:Calls._recorded", _in_its_turn),
    Point("sink", "changes of animas ready, not written", "before", "sinks.sink:Sink.write", _changes_alone),
)


class Fate:
    """Falls at the given number of calls that count."""

    def __init__(self, point: Point, hit: int, how: signal.Signals) -> None:
        self.point, self.left, self.how = point, hit, how

    def falls(self, arguments: tuple[Any, ...], result: Any = None) -> bool:
        if not self.point.counts(arguments, result):
            return False
        self.left -= 1
        return self.left == 0

    def strike(self) -> None:
        os.kill(os.getpid(), self.how)

    async def linger(self) -> None:
        """Before a kill the rest of the process goes on for a while: what wrongly does not wait for this point
        overtakes it. Who freezes does so at once, with all that is on its way.
        """
        if self.how is signal.SIGKILL:
            await asyncio.sleep(LINGER_S)
        self.strike()


def found(place: str) -> tuple[Any, str]:
    """Where the function is, and under which name. Raises AttributeError if there is none."""
    module, _, path = place.partition(":")
    owner: Any = import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    return owner, name


def arm(point: Point, fate: Fate) -> None:
    """Wrap the point's function in this process."""
    owner, name = found(point.place)
    function = getattr(owner, name)
    setattr(owner, name, (_slow if inspect.iscoroutinefunction(function) else _quick)(function, fate))


def _slow(function: Callable[..., Any], fate: Fate) -> Callable[..., Any]:
    @wraps(function)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        if fate.point.side == "before" and fate.falls(arguments):
            await fate.linger()
        result = await function(*arguments, **named)
        if fate.point.side == "delivered":
            await asyncio.gather(*result)
        if fate.point.side != "before" and fate.falls(arguments, result):
            await fate.linger()
        return result

    return wrapped


def _quick(function: Callable[..., Any], fate: Fate) -> Callable[..., Any]:
    @wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if fate.point.side == "before" and fate.falls(arguments):
            fate.strike()
        result = function(*arguments, **named)
        if fate.point.side != "before" and fate.falls(arguments, result):
            fate.strike()
        return result

    return wrapped


def main(name: str, hit: str, how: str, stage: str) -> None:
    point = next(point for point in (*POINTS, *FREEZES) if point.name == name)
    arm(point, Fate(point, int(hit), signal.Signals[how]))
    if stage == "api":
        from stack.serve import serve

        serve(configured(), None)
    else:
        from stack.stage import run

        run(stage, configured())


if __name__ == "__main__":
    main(*sys.argv[1:])
