from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.report import Outcome, stem, write

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("only", "name"),
    [
        (None, "2026-11-21-faults-seed1"),
        ("crash points", "2026-11-21-faults-crash-points-seed1"),
        ("score: states delivered, not/sent", "2026-11-21-faults-score-states-delivered-not-sent-seed1"),
    ],
)
def test_a_table_is_named_for_its_faults_and_its_seed(only: str | None, name: str) -> None:
    assert stem(MIDNIGHT, 1, only) == name


def test_a_table_says_how_it_is_made_again(tmp_path: Path) -> None:
    text = write(tmp_path, {"commit": "887f32c"}, Outcome(2, 60, "crash points", [1.0])).read_text()
    assert '`make faults FAULTS=0 SEED=2 ONLY="crash points"`' in text
    assert "commit 887f32c" in text
