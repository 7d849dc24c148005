"""That the guards stand where the mutation check takes them out."""

import pytest

from stack.jars import CHECKOUT
from tests.faults.mutations import MUTATIONS, Mutation, findings


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.guard)
def test_a_guard_stands_in_its_file_once(mutation: Mutation) -> None:
    text = (CHECKOUT / mutation.file).read_text()
    assert [text.count(old) for old, _ in mutation.changes] == [1] * len(mutation.changes)


def test_it_is_said_what_noticed() -> None:
    output = "  fault   injected\n  kills   1: 2\n  lost: event at 3/7\n  and 4 more like these\n"
    errors = "    9 s  ready; 60 records/s\n   60 s  1/1  kills: SIGKILL one sink: NOT SURVIVED: not within 180 s\n"
    assert findings(output, errors) == [
        "auditor: lost: event at 3/7", "1/1  kills: SIGKILL one sink: NOT SURVIVED: not within 180 s",
    ]  # fmt: skip
    assert findings("", "  9 s  ready\nTypeError: no\n") == ["TypeError: no"]
