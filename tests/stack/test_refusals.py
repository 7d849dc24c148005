"""What the stack refuses, with which sentence; nothing is started for any of it."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack import directory, jars
from stack.directory import DataDirectory
from stack.embedded import Stack
from stack.errors import StackError
from tests.stack.conftest import elephantasm, settings_in

VERSIONS = {"Kafka": "4.3.1", "PostgreSQL": "18"}


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def only_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def test_no_java(tmp_path: Path) -> None:
    refused = elephantasm(settings_in(tmp_path), "up", "--detach", PATH=str(tmp_path), JAVA_HOME="")
    assert refused.returncode == 1
    assert refused.stderr.startswith("elephantasm: There is no Java on the PATH. Install Java 17 or later")
    assert "ELEPHANTASM_KAFKA" in refused.stderr
    assert not (tmp_path / "kafka").exists()


def test_old_java(only_here: Path) -> None:
    program(only_here, "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
    with pytest.raises(StackError, match=r"is Java 11\. Install Java 17 or later"):
        jars.java()


def test_no_maven(only_here: Path) -> None:
    with pytest.raises(StackError, match=r"Maven \(mvn\) is not on the PATH"):
        jars.fetch()


def test_maven_without_network_leaves_nothing(only_here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(only_here, "mvn", "echo '[ERROR] Unknown host'; exit 1")
    monkeypatch.setattr(jars, "JARS", tmp_path / "build" / "kafka-4.3.1")
    with pytest.raises(StackError, match=r"could not fetch Apache Kafka 4\.3\.1: \[ERROR\] Unknown host"):
        jars.fetch()
    assert [path.name for path in (tmp_path / "build").iterdir()] == [".gitignore"]


def test_a_directory_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "version.json").write_text(json.dumps(VERSIONS | {"PostgreSQL": "17"}))
    refused = elephantasm(settings_in(tmp_path), "up", "--detach")
    assert refused.returncode == 1
    assert "was written by PostgreSQL 17, and this release runs 18" in refused.stderr
    assert "ELEPHANTASM_DATA_DIR" in refused.stderr


def test_the_same_version_is_welcome(tmp_path: Path) -> None:
    DataDirectory(tmp_path).prepare(VERSIONS)
    DataDirectory(tmp_path).prepare(VERSIONS)
    assert json.loads((tmp_path / "version.json").read_text()) == VERSIONS


def test_a_place_that_cannot_be_written() -> None:
    with pytest.raises(StackError, match=r"Cannot write to /proc/nowhere: .*ELEPHANTASM_DATA_DIR"):
        DataDirectory(Path("/proc/nowhere")).prepare(VERSIONS)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=300 << 20))
    with pytest.raises(StackError, match="has 300 MiB of free disk space and needs 1024"):
        DataDirectory(tmp_path).prepare(VERSIONS)


def test_two_at_work_in_one_directory(tmp_path: Path) -> None:
    stack = Stack(settings_in(tmp_path))
    stack.directory.prepare({})
    with stack.directory.exclusive(), pytest.raises(StackError, match="Another `elephantasm up` or `down` is at work"):
        stack.start()


def test_one_port_for_two(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    twice = settings.model_copy(update={"kafka_port": settings.api_port})
    with pytest.raises(StackError, match="ELEPHANTASM_KAFKA_PORT and ELEPHANTASM_API_PORT are both"):
        Stack(twice).start()


def test_a_wrong_setting_is_named_with_its_value(tmp_path: Path) -> None:
    refused = elephantasm(settings_in(tmp_path), "status", ELEPHANTASM_API_PORT="eight")
    assert refused.returncode == 1
    assert refused.stderr.startswith("elephantasm: ELEPHANTASM_API_PORT='eight': ")


def test_an_unknown_stage(tmp_path: Path) -> None:
    refused = elephantasm(settings_in(tmp_path), "stage", "nap")
    assert refused.returncode == 1
    assert "There are: score, sink, index, embed, synthesize." in refused.stderr


def test_a_long_path_gets_its_sockets_elsewhere(tmp_path: Path) -> None:
    long = DataDirectory(tmp_path / ("long" * 30))
    long.prepare(VERSIONS)
    assert len(os.fsencode(long.run / directory.LONGEST_SOCKET)) <= directory.SOCKET_BYTES
    long.run.rmdir()
    long.prepare(VERSIONS)
    assert long.run.is_dir()
    long.run.rmdir()
