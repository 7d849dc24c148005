import ast
import io
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from supervisor import events

from stack import demo, jars, progress
from stack.backoff import LONGEST_PAUSE_S, LOOK_S, Backoff
from stack.directory import DataDirectory
from stack.environment import variables
from stack.processes import STAGES, programs
from stack.settings import Settings
from stack.supervision import configuration, configure
from tests.stack.conftest import settings_in

ROOT = jars.CHECKOUT


def test_the_jars_are_those_of_the_pom() -> None:
    assert f"<version>{jars.VERSION}</version>" in (ROOT / "pom.xml").read_text()


def test_the_locks_are_hashed_and_name_no_host() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "benchmarks/requirements-quix.lock"):
        text = (ROOT / name).read_text()
        pinned = re.findall(r"^[a-z0-9-]+==", text, re.MULTILINE)
        assert len(pinned) > 30
        assert text.count("--hash=sha256:") >= len(pinned)
        assert "://" not in text


def test_make_explains_every_target() -> None:
    shown = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^  make (\w+) +\S", shown, re.MULTILINE)
    assert targets == ["demo", "up", "down", "status", "test", "faults", "bench", "lint", "generated", "lock"]


def test_the_command_line_loads_nothing_heavy() -> None:
    heavy = "{'faust', 'numpy', 'pydantic', 'aiokafka', 'psycopg', 'supervisor'} & set(sys.modules)"
    code = f"import sys, stack.cli; sys.exit(str({heavy} or ''))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr.strip() == ""
    )


def test_existing_servers_are_not_started(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, kafka="broker:9092", database=SecretStr("postgresql://there/db"))
    names = [program.name for program in programs(settings, DataDirectory(tmp_path))]
    assert names == [*STAGES, "api"]


def test_secrets_reach_the_processes_but_no_file(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, kafka="broker:9092", database=SecretStr("postgresql://u:hunter2@there/db"))
    directory = DataDirectory(tmp_path)
    directory.prepare({})
    configure(directory, programs(settings, directory))
    assert "hunter2" not in configuration(directory).read_text()
    assert variables(settings)["ELEPHANTASM_DATABASE"] == "postgresql://u:hunter2@there/db"


def test_the_demo_publishes_to_a_protected_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By a program that says what it got instead of publishing."""
    (tmp_path / "publish.py").write_text("import os, sys; print(sys.argv[1:], os.environ['KAFKA_PASSWORD'])")
    (tmp_path / "ca.pem").touch()
    monkeypatch.setattr(demo, "EXAMPLES", tmp_path)
    user = {"kafka_sasl_username": "ines", "kafka_sasl_password": SecretStr("hunter2")}
    trusted = {"kafka_security_protocol": "SASL_SSL", "kafka_ssl_cafile": tmp_path / "ca.pem"}
    demo._publish(settings_in(tmp_path, kafka="broker:9093", kafka_sasl_mechanism="SCRAM-SHA-512", **user, **trusted))
    shown, got = capfd.readouterr().out.splitlines()
    options, _, secret = got.rpartition(" ")
    assert secret == "hunter2"
    assert "hunter2" not in shown + options
    assert ast.literal_eval(options) == [
        *("--bootstrap", "broker:9093", "--security-protocol", "SASL_SSL", "--sasl-mechanism", "SCRAM-SHA-512"),
        *("--sasl-username", "ines", "--ca-file", str(tmp_path / "ca.pem")),
        *("--topic", "elephantasm.events", "--key", "wren"),
    ]


def test_the_example_imports_nothing_of_ours() -> None:
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    nodes = list(ast.walk(ast.parse((ROOT / "examples/publish.py").read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {"." * node.level + (node.module or "") for node in nodes if isinstance(node, ast.ImportFrom)}
    assert "aiokafka" in names
    assert not {name.partition(".")[0] for name in names} & (ours | {""})


def test_settings_survive_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, llm_provider="openai", openai_api_key=SecretStr("k"), strict_animas=True)
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings(_env_file=None) == settings


def test_the_pause_between_restarts_is_bounded() -> None:
    backoff = Backoff(SimpleNamespace(poll=None))
    process = SimpleNamespace(backoff=0, config=SimpleNamespace(name="sink"))
    pauses = []
    for _ in range(50):
        events.notify(events.ProcessStateStartingEvent(process, 0))
        process.backoff += 1
        pauses.append(process.backoff)
        events.notify(events.ProcessStateBackoffEvent(process, 0))
    assert pauses[:3] == [1, 2, 3]
    assert max(pauses) == LONGEST_PAUSE_S
    assert backoff.starts() == {"sink": 50}
    events.clear()


def test_what_ended_is_started_without_a_pause() -> None:
    waited: list[float] = []
    poller = SimpleNamespace(poll=waited.append)
    Backoff(poller)
    poller.poll(1.0)
    assert waited == [LOOK_S]
    events.clear()


def test_only_what_takes_long_gets_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    lines = progress.Lines(stream)
    with lines.step("quick"):
        pass
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    with lines.step("slow"):
        while not stream.getvalue():
            pass
    assert stream.getvalue() == "slow … 0 s\n"
