"""The auditor's rule about money: why a call to the model was asked again. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from operator import attrgetter
from typing import Literal, NamedTuple

from tests.faults.provider import VALID_TOKENS, Billed, key
from tests.faults.rows import Stored
from tests.faults.strikes import SERVERS, Strike
from tests.faults.violation import Violation

# Whose end can take along a reply that is not in the ledger yet: the worker's, and that of the servers it works with.
TAKING = ("synthesize", *SERVERS)
# How far a moment noted here may be from the true one: a request is on the wire, a loop is busy.
BLUR_S = 0.5
# So long after its answer a reply may not be in the ledger yet. It normally takes well under a second.
LINGER_S = 2.0


class Repeats(NamedTuple):
    """Calls asked again though there was a valid reply: `taken` were on their way when something was struck, some of
    the `in_flight` that were; `late` were answered when the client had given up.
    """

    taken: int = 0
    late: int = 0
    in_flight: int = 0


class Asked(NamedTuple):
    """A request, the next one for the same thing, and since when the ledger has its reply; seconds since the epoch."""

    one: Billed
    again: Billed | None
    kept_at: float

    def why_again(self, strike: Strike | None, timeout_s: float) -> Literal["", "kept", "taken", "late", "nothing"]:
        """Empty if it was not asked again, or for an error; `kept` and `nothing` are no reasons.

        `strike`: what may have taken its reply.
        """
        one, again = self.one, self.again
        if again is None:
            return ""
        if again.received_at > self.kept_at:
            return "kept"
        if one.answered_at is None:
            return ""
        if one.answered_at - one.received_at > timeout_s - BLUR_S:
            return "late"
        return "taken" if strike else "nothing"

    def taken_by(self, strikes: Sequence[Strike]) -> Strike | None:
        """Of those that may have kept its reply from the ledger the one that is over first."""
        return min((one for one in strikes if self.on_its_way(one)), key=attrgetter("until"), default=None)

    def on_its_way(self, strike: Strike) -> bool:
        """Whether the strike may have kept its reply from the ledger: it fell when the request was there already, and
        the reply neither there nor an error nor asked for again, nor answered for long.
        """
        one = self.one
        if one.answered_at is None:
            gone_at = inf if one.over_at is None else one.over_at
        else:
            again_at = inf if self.again is None else self.again.received_at
            gone_at = min(one.answered_at + LINGER_S, self.kept_at, again_at)
        return one.received_at - BLUR_S <= strike.until and strike.at <= gone_at + BLUR_S


def paid_twice(
    rows: Stored, account: Sequence[Billed], strikes: Sequence[Strike], timeout_s: float, most: int
) -> tuple[list[Violation], Repeats]:
    """Calls that were asked again when their reply was in the ledger, or though nothing had kept it from there.

    What the replies beside those in the ledger cost is in the ledger if they came to it, and on the account alone if
    not. A strike takes one reply of each call: the next request comes when the harm is over; and of no more calls than
    all workers together can have on their way, which are `most`.
    """
    found, counts, in_flight = list(_miscounted(rows, account)), Counter[str](), 0
    taking = [strike for strike in strikes if strike.program in TAKING]
    left: dict[str, list[Strike]] = {}
    taken: list[Strike] = []
    for asked in _asked(rows, account):
        excuses = left.setdefault(asked.one.key, list(taking))
        strike = asked.taken_by(excuses)
        why = asked.why_again(strike, timeout_s)
        if strike and why == "taken":
            excuses.remove(strike)
            taken.append(strike)
        counts[why] += 1
        in_flight += any(map(asked.on_its_way, taking))
        if why in ("kept", "nothing"):
            assert asked.again is not None
            after_s = asked.again.received_at - (asked.kept_at if why == "kept" else asked.one.received_at)
            since = "its reply was recorded" if why == "kept" else "the first time, and nothing was struck meanwhile"
            what = f"{asked.one.key[:12]}, {after_s:.3f} s after {since}"
            found.append(Violation("paid twice", what, round(asked.again.received_at * 1000)))
    found += _too_many(taking, taken, most)
    return found, Repeats(counts["taken"], counts["late"], in_flight)


def _too_many(strikes: Iterable[Strike], taken: Sequence[Strike], most: int) -> Iterator[Violation]:
    for strike in strikes:
        if (calls := taken.count(strike)) > most:
            what = f"{calls} calls after the strike at {strike.program}, when no more than {most} can be on their way"
            yield Violation("paid twice", what, round(strike.at * 1000))


def unrecorded(asked: Iterable[Billed]) -> list[Violation]:
    """`asked`: what a stack asked that has the same log and a copy of the ledger, and so every reply that there is."""
    said = "the ledger had no reply: {} was asked again by the undisturbed stack"
    return [Violation("paid twice", said.format(one.key[:12])) for one in asked]


def _asked(rows: Stored, account: Sequence[Billed]) -> Iterator[Asked]:
    kept_at = {key(row["input"]): row["recorded_at"].timestamp() for row in rows.calls}
    for name, bills in _by_key(account).items():
        for one, again in zip(bills, [*bills[1:], None], strict=True):
            yield Asked(one, again, kept_at.get(name, inf))


def _miscounted(rows: Stored, account: Sequence[Billed]) -> Iterator[Violation]:
    bills = _by_key(account)
    for row in rows.calls:
        counted = row["input_tokens"] // VALID_TOKENS
        sent = sum(one.sent for one in bills[key(row["input"])])
        if counted > sent:
            what = f"the ledger counts {counted} replies to {row['call_id'][:12]}, and {sent} were sent"
            yield Violation("wrong", what)


def _by_key(account: Sequence[Billed]) -> defaultdict[str, list[Billed]]:
    found: defaultdict[str, list[Billed]] = defaultdict(list)
    for one in account:
        found[one.key].append(one)
    return found
