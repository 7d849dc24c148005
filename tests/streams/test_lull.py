"""A log that is read to its end is left alone for a moment, one with more to read is not."""

from types import SimpleNamespace

import pytest

from streams.lull import read_to_the_end


@pytest.mark.parametrize(
    ("polled", "ends", "expected"),
    [
        ({}, {0: 5}, False),  # nothing came: the next record is not to wait
        ({0: [3, 4]}, {0: 5}, True),
        ({0: [3, 4]}, {0: 6}, False),
        ({0: [4], 1: [7]}, {0: 5, 1: 8}, True),
        ({0: [4], 1: [7]}, {0: 5, 1: 9}, False),
        ({0: [4]}, {0: None}, False),  # the partition has just gone
        ({0: list(range(999))}, {0: 999}, True),
        ({0: list(range(1_000))}, {0: 1_000}, False),  # a backlog
        ({0: [4]}, {0: 4}, True),  # what is known of the end is older than the records
    ],
)
def test_the_end(polled: dict[int, list[int]], ends: dict[int, int | None], expected: bool) -> None:
    records = {partition: [SimpleNamespace(offset=one) for one in offsets] for partition, offsets in polled.items()}
    assert read_to_the_end(records, ends.__getitem__) is expected
