"""What counts as a handle of a server."""

from pathlib import Path

import psutil
import pytest

from tests.faults.watch import handles


@pytest.mark.parametrize(
    ("program", "name"), [("kafka", "events-0/0.log"), ("postgres", "base/5/1"), ("postgres", "pg_wal/1")]
)
def test_files_of_data_are_left_out_until_they_are_deleted(tmp_path: Path, program: str, name: str) -> None:
    here, path = psutil.Process(), tmp_path / name
    path.parent.mkdir(parents=True)
    before, before_api = handles(program, here), handles("api", here)
    with path.open("w"):
        assert (handles(program, here), handles("api", here)) == (before, before_api + 1)
        path.unlink()
        assert handles(program, here) == before + 1


def test_other_files_of_a_server_count(tmp_path: Path) -> None:
    before = handles("postgres", psutil.Process())
    with (tmp_path / "postmaster.pid").open("w"):
        assert handles("postgres", psutil.Process()) == before + 1
