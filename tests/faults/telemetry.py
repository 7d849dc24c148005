"""What agents send while things break: bursts, silences, repeats, late records, poison, what the API must refuse, new
animas, changes. Pure; seeded.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from streams.records import Configure, Event, Weights
from tests.api.wrong import WRONG
from tests.streams.poison import POISON

ANIMAS = 40
# Of what is sent.
SHARES = {"poison": 0.05, "configure": 0.01, "wrong": 0.01, "anima": 0.002, "pack": 0.02, "batch": 0.01, "event": 0.898}
LATE_SHARE, REPEAT_SHARE = 0.03, 0.05  # of events
HOUR_MS = 3_600_000
WORDS = """
crane parcel harbour ledger blue red Monday courier invoice berth pilot Ottoline storm rope
delay signal paid quay tide order hull pallet manifest customs Ines Bo refund standing crew
engine
""".split()  # noqa: SIM905  readable
# Due by time alone within seconds; by events soon; never by time: so that every rule of a window is met.
CHANGES = (
    Weights(time_weight=5, event_weight=0.249, token_weight=0, threshold=1),
    Weights(time_weight=0, event_weight=1, token_weight=0.001, threshold=8),
    None,
)
# What ends a run: nothing is due by time any more.
QUIET = Weights(time_weight=0, event_weight=0, token_weight=0, threshold=50)


class Piece(NamedTuple):
    """One thing to send, to `kafka` or by `http`, or with `pack` to ask for, in `pause_s`; its timestamp lies `late_ms`
    back. Several events are a batch. `wrong` is an event that the API must refuse, its value one of WRONG; `anima` a
    new one.
    """

    by: str
    key: bytes | None
    value: bytes | None = None
    events: tuple[Event, ...] = ()
    partition: int | None = None
    late_ms: int = 0
    pause_s: float = 0.0


def anima_key(number: int) -> bytes:
    return b"anima-%02d" % number


def pieces(seed: int, per_s: float) -> Iterator[Piece]:
    """Without end. `per_s` on average over bursts and silences."""
    dice = random.Random(f"telemetry {seed}")
    number = 0
    while True:
        length = dice.choice((1, 1, 5, 20, 100))  # a burst belongs to one anima now and then
        same = dice.random() < 0.3
        key = anima_key(_anima(dice))
        begun = number
        for _ in range(length):
            yield (piece := _piece(dice, number, key if same else anima_key(_anima(dice))))
            number += max(1, len(piece.events))
        piece = _piece(dice, number, key)
        number += max(1, len(piece.events))
        yield piece._replace(pause_s=(number - begun) / per_s)


def _anima(dice: random.Random) -> int:
    """A few animas say most of it."""
    return min(int(dice.expovariate(0.12)), ANIMAS - 1)


def _piece(dice: random.Random, number: int, key: bytes) -> Piece:
    (what,) = dice.choices(list(SHARES), list(SHARES.values()))
    if what == "poison":
        bad = POISON[dice.choice([name for name in POISON if "megabyte" not in name])]
        return Piece("kafka", bad.key, bad.value, partition=bad.stands_in)
    if what == "configure":
        return Piece("kafka", key, Configure(weights=dice.choice(CHANGES)).value())
    if what == "wrong":
        return Piece("wrong", key, dice.choice(list(WRONG)).encode())
    if what == "anima":
        return Piece("anima", b"made-%d" % number)
    if what == "pack":
        return Piece("pack", key, events=(_event(dice, number),))
    if what == "batch":
        length = dice.choice((2, 5, 30))
        return Piece("http", key, events=tuple(_event(dice, number + more) for more in range(length)))
    late = dice.randrange(6 * HOUR_MS) if dice.random() < LATE_SHARE else 0
    by = dice.choices(("kafka", "http"), (8, 1 if late else 2))[0]
    event = _event(dice, number)
    return Piece(by, key, event.value(), (event,), late_ms=late if by == "kafka" else 0)


def _event(dice: random.Random, number: int) -> Event:
    repeat = dice.random() < REPEAT_SHARE
    dedupe = f"key {number - dice.randrange(1, 60)}" if repeat else f"key {number}"
    words = " ".join(dice.choices(WORDS, k=dice.choice((4, 12, 12, 40, 400))))
    return Event(
        event_type=dice.choice(("message.in", "message.out", "tool.call", "tool.result")),
        content=f"Note {number}: {words}.",
        author=dice.choice((None, "Ines", "Bo")),
        session_id=f"session {number // 500}",
        dedupe_key=dedupe if repeat or dice.random() < 0.5 else None,
        meta={"number": number},
    )
