"""The auditor's rules: what the log makes necessary against what Postgres holds. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.faults.expected import Expected
from tests.faults.load import Promises
from tests.faults.rows import Rows, Stored
from tests.faults.violation import Violation


def violations(expected: Expected, rows: Stored, promises: Promises) -> list[Violation]:
    """All rules but those about money and packs."""
    rules = (events(expected, rows), letters(expected, rows), windows(expected, rows), memories(expected, rows),
             derived(expected, rows), promised(expected, promises), created(expected, rows, promises),
             batches(expected, promises), packs(expected, rows), dangling(rows))  # fmt: skip
    return [found for rule in rules for found in rule]


def events(expected: Expected, rows: Stored) -> Iterator[Violation]:
    """Every event is in Postgres once, at its position, with a dense ordinal in the order of the log."""
    seen = Counter(row["id"] for row in rows.events)
    for identity, event in expected.events.items():
        if not seen[identity]:
            yield Violation("lost", f"event at {event.partition}/{event.offset}", event.recorded_ms)
    for row in rows.events:
        wanted, at = expected.events.get(row["id"]), f"{row['partition']}/{row['offset']}"
        if wanted is None or seen[row["id"]] > 1:
            yield Violation("duplicated", f"event at {at}", _ms(row["recorded_at"]))
        elif (wanted.anima, wanted.seq, wanted.partition, wanted.offset, wanted.content) != tuple(
            row[name] for name in ("anima_id", "seq", "partition", "offset", "content")
        ):
            yield Violation("wrong", f"event at {at}, seq {row['seq']} for {wanted.seq}", wanted.recorded_ms)
    counts = Counter(event.anima for event in expected.events.values())
    for row in rows.animas:
        if row["events"] != counts[row["id"]]:
            yield Violation("wrong", f"anima {row['id']} counts {row['events']} events for {counts[row['id']]}")


def letters(expected: Expected, rows: Stored) -> Iterator[Violation]:
    """Each record that cannot be read has one dead letter, with its bytes; no window has one."""
    found: defaultdict[tuple[int, int], Rows] = defaultdict(list)
    for row in rows.letters:
        if row["stage"] == "sink":
            found[row["partition"], row["offset"]].append(row)
        else:
            yield Violation("lost", f"a record of {row['topic']} in the dead letters", _ms(row["recorded_at"]))
    for at, content in expected.letters.items():
        mine = found.pop(at, [])
        if not mine:
            yield Violation("lost", f"dead letter of {at[0]}/{at[1]}", expected.records[at])
        elif len(mine) > 1:
            yield Violation("duplicated", f"dead letter of {at[0]}/{at[1]}", expected.records[at])
        elif (mine[0]["key"], mine[0]["value"]) != content:
            yield Violation("wrong", f"bytes of the dead letter of {at[0]}/{at[1]}", expected.records[at])
    for at in found:
        yield Violation("wrong", f"{at[0]}/{at[1]} is a dead letter and can be read", expected.records.get(at))


def repeated(letters: Iterable[Any]) -> int:
    """Of the records on the topic of dead letters, those that say again what one before them has said: a crash may
    double them there, though not in the rows.
    """
    said = [tuple(value for name, value in letter.headers if name in ("source", "stage")) for letter in letters]
    return len(said) - len(set(said))


def windows(expected: Expected, rows: Stored) -> Iterator[Violation]:
    """The claims are those that follow from the rule, and so contiguous, disjoint, and complete up to the last."""
    claimed = {(row["anima_id"], row["last_offset"]): row for row in rows.windows}
    for place, window in expected.windows.items():
        at = expected.records[window.partition, window.last_offset]
        row = claimed.pop(place, None)
        if row is None:
            yield Violation("lost", f"window of {window.partition}/{window.first_offset}-{window.last_offset}", at)
        elif tuple(row[name] for name in ("partition", "first_offset", "first_seq", "last_seq", "trigger_id")) != (
            window.partition, window.first_offset, window.first_seq, window.last_seq, window.trigger,
        ):  # fmt: skip
            yield Violation("wrong", f"window {row} for {window}", at)
    for row in claimed.values():
        yield Violation("duplicated", f"window that the rule does not cut: {row}")


def memories(expected: Expected, rows: Stored) -> Iterator[Violation]:
    """One memory per window; its links are the window's events; its trigger says what the rule says, time included."""
    found: defaultdict[Any, Rows] = defaultdict(list)
    for row in rows.memories:
        found[row["id"]].append(row)
    linked = {row["memory_id"]: row for row in rows.links}
    for window in expected.windows.values():
        at, name = expected.records[window.partition, window.last_offset], f"memory of {window}"
        mine, link = found.pop(window.memory, []), linked.get(window.memory)
        if not mine:
            yield Violation("lost", name, at)
            continue
        if len(mine) > 1:
            yield Violation("duplicated", name, at)
        if mine[0]["trigger"] != expected.triggers[window.trigger].model_dump(mode="json"):
            yield Violation("wrong", f"trigger of {name}: {mine[0]['trigger']}", at)
        if link is None or link["seqs"] != list(range(window.first_seq, window.last_seq + 1)):
            yield Violation("wrong", f"links of {name}", at)
        elif abs(link["weight"] - 1) > 1e-3:
            yield Violation("wrong", f"weights of {name} sum to {link['weight']}", at)
    for identity in found:
        yield Violation("duplicated", f"memory {identity} of no window")


def derived(expected: Expected, rows: Stored) -> Iterator[Violation]:
    """Every event and memory has its words and its vector, each once."""
    items = {(event.anima, 0, event.seq): event.recorded_ms for event in expected.events.values()}
    items |= {(row["anima_id"], 1, row["seq"]): _ms(row["recorded_at"]) for row in rows.memories}
    for name, found in (("words", list(rows.documents)), ("vector", rows.vectors)):
        seen = Counter(found)
        yield from (Violation("lost", f"{name} of {item}", at) for item, at in items.items() if not seen[item])
        yield from (Violation("duplicated", f"{name} of {item}", items.get(item)) for item in seen
                    if seen[item] > 1 or item not in items)  # fmt: skip


def promised(expected: Expected, promises: Promises) -> Iterator[Violation]:
    """What was answered 2xx is in the log, at the position that was answered, and first if that was answered; nothing
    that was posted is there more often than it was sent, whatever was answered, and nothing that had to be refused.
    """
    yield from (Violation("wrong", answer) for answer in promises.broken)
    for position, content in promises.acknowledged.items():
        found = expected.contents.get((position.partition, position.offset))
        if found is None:
            yield Violation("lost", f"acknowledged record {position}")
        elif found != content:
            yield Violation("wrong", f"bytes of the acknowledged record {position}")
    for number, position in promises.stored.items():
        places = expected.numbers.get(number, [])
        if (position.partition, position.offset) not in places:
            yield Violation("lost", f"posted event {number}, answered with {position}, is at {places}")
    for identity, position in promises.firsts:
        first = expected.events.get(identity)
        if first is None or (first.partition, first.offset) != (position.partition, position.offset):
            yield Violation("wrong", f"event {identity}, answered to be first at {position}: the log has {first}")
    for number, times in promises.attempts.items():
        places = expected.numbers.get(number, [])
        if len(places) > times:
            yield Violation("duplicated", f"posted event {number}, sent {times} x, is at {places}")
    yield from (
        Violation("wrong", f"an event to be refused is at {at}", expected.records[at]) for at in expected.refused
    )


def created(expected: Expected, rows: Stored, promises: Promises) -> Iterator[Violation]:
    """An anima that was answered is in the log once, and a row of that name."""
    names = {row["id"]: row["name"] for row in rows.animas}
    for anima, name in promises.animas.items():
        if not expected.names[anima]:
            yield Violation("lost", f"anima {name}, answered as {anima}")
        elif len(expected.names[anima]) > 1:
            yield Violation("duplicated", f"anima {name} is in the log as {expected.names[anima]}")
        elif [names.get(anima)] != expected.names[anima] or names[anima] != name:
            yield Violation("wrong", f"anima {name} is {names.get(anima)}, and {expected.names[anima]} in the log")


def batches(expected: Expected, promises: Promises) -> Iterator[Violation]:
    """A batch that was answered is in the log in its order, up to the position answered: each event without a dedupe
    key once, of the others each or an earlier one with its key.
    """
    for batch in promises.batches:
        what, end = f"batch answered with {batch.after}", (batch.after.partition, batch.after.offset)
        places = [expected.numbers.get(number, []) for number in batch.alone]
        firsts = [expected.events.get(identity) for identity in batch.ids]
        if None in firsts or not all(places):
            yield Violation("lost", f"an event of the {what}")
        if any(len(place) > 1 for place in places):
            yield Violation("duplicated", f"an event of the {what}")
        in_order = [place[0] for place in places if place]
        known = [(first.partition, first.offset) for first in firsts if first]
        own = [expected.numbers[number] for number in batch.numbers if number in expected.numbers]
        if in_order != sorted(in_order) or max([*in_order, *known], default=end) > end:
            yield Violation("wrong", f"the order of the {what}: {in_order}, {known}")
        if len(own) < batch.accepted or end not in {*known, *(place for found in own for place in found)}:
            yield Violation("wrong", f"{what} and {batch.accepted} accepted: {own}, {known}")


def packs(expected: Expected, rows: Stored) -> Iterator[Violation]:
    """Every recall in the log is a pack that was served, once."""
    seen = Counter((row["partition"], row["offset"]) for row in rows.packs)
    yield from (Violation("lost", f"recall at {at}", expected.records[at]) for at in expected.recalls if not seen[at])
    yield from (Violation("duplicated", f"pack of {at}") for at in seen if seen[at] > 1 or at not in expected.recalls)


def idle(counts: Mapping[str, int]) -> list[Violation]:
    """Of a run that is long enough to have something of everything."""
    return [Violation("wrong", f"nothing of {name!r} in this run") for name, count in counts.items() if not count]


def dangling(rows: Stored) -> Iterator[Violation]:
    """Nothing points to a row that is not there."""
    yield from (Violation("wrong", f"{count} {name}") for name, count in rows.dangling.items() if count)


def _ms(moment: Any) -> int:
    milliseconds: int = round(moment.timestamp() * 1000)
    return milliseconds
