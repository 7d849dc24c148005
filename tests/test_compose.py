"""docker-compose.yml says the same as the embedded stack, and Compose's own loader accepts it."""

import inspect
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from stack import jars, kafka, postgres
from stack.directory import DataDirectory
from stack.processes import STAGES, programs
from stack.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DEFAULTS = Settings.model_construct()
LOADER = "github.com/compose-spec/compose-go/v2/cli@v2.4.7"

# Settings that the composition decides itself, or that speak of servers which it does not use.
DECIDED = {
    "kafka", "database", "data_dir", "kafka_port", "kafka_controller_port", "api_host", "api_port", "worker",
    "replication", "kafka_security_protocol", "kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password",
    "kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile", "stage_processes",
}  # fmt: skip
OF_THE_API = {
    "api_processes",
    "body_bytes",
    "batch_events",
    "after_timeout_s",
    "settled_timeout_s",
    "lag_window_s",
    "layer_cache_mb",
}
KEYS = {"anthropic_api_key": {"synthesize"}, "openai_api_key": {"synthesize", "embed", "api"}}


def variable(setting: str) -> str:
    return f"ELEPHANTASM_{setting.upper()}"


def test_one_service_per_stage_and_the_stack_around_them() -> None:
    assert set(SERVICES) == {"kafka", "postgres", "migrate", "api", *STAGES}
    for stage in STAGES:
        assert SERVICES[stage]["command"] == ["stage", stage]
    assert SERVICES["migrate"]["command"] == ["migrate"]
    assert SERVICES["api"]["command"] == ["api"]


def test_versions_are_those_of_the_embedded_servers() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{jars.VERSION}"
    assert SERVICES["postgres"]["image"] == f"pgvector/pgvector:pg{postgres.VERSION}"


def test_every_setting_reaches_every_process_that_reads_it() -> None:
    common = set(Settings.model_fields) - DECIDED - OF_THE_API - set(KEYS)
    for name in (*STAGES, "migrate", "api"):
        passed = set(SERVICES[name]["environment"])
        expected = {variable(setting) for setting in common | {"kafka", "database"}}
        if name == "api":
            expected |= {variable(setting) for setting in OF_THE_API | {"api_host", "api_port"}}
        expected |= {variable(key) for key, readers in KEYS.items() if name in readers}
        assert passed == expected, name


def test_nothing_but_addresses_has_a_value_here() -> None:
    """So every default is the one of stack/settings.py."""
    given = {key: value for key, value in SERVICES["api"]["environment"].items() if value is not None}
    assert set(given) == {variable(name) for name in ("kafka", "database", "api_host", "api_port")}
    assert given["ELEPHANTASM_API_PORT"] == DEFAULTS.api_port


def test_ports_are_those_of_the_embedded_stack_and_open_to_this_machine_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "kafka": [f"127.0.0.1:${{ELEPHANTASM_KAFKA_PORT:-{DEFAULTS.kafka_port}}}:{DEFAULTS.kafka_port}"],
        "api": [f"127.0.0.1:${{ELEPHANTASM_API_PORT:-{DEFAULTS.api_port}}}:{DEFAULTS.api_port}"],
    }


def test_kafka_is_configured_as_the_embedded_one() -> None:
    embedded = dict(re.findall(r"^([a-z.]+)=(.*)$", kafka.PROPERTIES, re.MULTILINE))
    composed = {name: str(value) for name, value in SERVICES["kafka"]["environment"].items()}
    of_addresses = {"listeners", "advertised.listeners", "listener.security.protocol.map", "log.dirs"}
    # The image votes statically, as it does by default, so that it can format its directory in every release.
    of_addresses |= {"controller.quorum.bootstrap.servers"}
    for name, value in embedded.items():
        if name not in of_addresses:
            assert composed["KAFKA_" + name.replace(".", "_").upper()] == value, name
    assert set(kafka.JVM) == set(f"{composed['KAFKA_HEAP_OPTS']} {composed['KAFKA_JVM_PERFORMANCE_OPTS']}".split())


def test_postgres_is_configured_as_the_embedded_one() -> None:
    embedded = dict(re.findall(r"^(\w+) = (.*)$", postgres.CONFIGURATION, re.MULTILINE))
    embedded["shared_buffers"] = postgres.SHARED_BUFFERS
    of_addresses = {"listen_addresses", "unix_socket_directories", "unix_socket_permissions"}
    composed = dict(option.removeprefix("--").split("=", 1) for option in SERVICES["postgres"]["command"][1:])
    assert composed == {name: value.strip("'") for name, value in embedded.items() if name not in of_addresses}
    for option in SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split():
        assert option in inspect.getsource(postgres), option


def test_processes_get_the_time_to_stop_that_the_embedded_stack_gives_them(tmp_path: Path) -> None:
    settings = DEFAULTS.model_copy(update={"data_dir": tmp_path})
    try:
        embedded = {program.name: program.stop_s for program in programs(settings, DataDirectory(tmp_path))}
    except Exception as error:  # noqa: BLE001  no Java here
        pytest.skip(str(error))
    assert {name: f"{seconds}s" for name, seconds in embedded.items()} == {
        name: service["stop_grace_period"] for name, service in SERVICES.items() if name != "migrate"
    }


def test_what_is_ours_cannot_write_to_its_image_and_waits_for_the_migration() -> None:
    for name in (*STAGES, "api"):
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["restart"] == "unless-stopped"
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["restart"] == "no"


def test_health_is_checked_where_a_port_answers_and_stages_are_watched_by_their_lag() -> None:
    checked = {
        name: " ".join(service["healthcheck"]["test"]) for name, service in SERVICES.items() if "healthcheck" in service
    }
    assert set(checked) == set(SERVICES) - {"migrate", *STAGES}
    assert "kafka:19092" in checked["kafka"]
    assert "127.0.0.1" in checked["postgres"]
    assert f"127.0.0.1:{DEFAULTS.api_port}/api/readyz" in checked["api"]


def test_the_image_is_made_of_every_package_and_runs_as_nobody_special() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "docs", "benchmarks"}
    assert set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE)) == packages
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == packages | {"requirements.lock"}
    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == ["10001:10001"]
    assert "--require-hashes" in dockerfile


# Compose's own reading of the file: interpolated, merged, checked against the specification.
PROGRAM = """
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:], cli.WithOsEnv)
	if err == nil {
		project, failed := options.LoadProject(context.Background())
		if err = failed; err == nil {
			written, _ := project.MarshalJSON()
			fmt.Println(string(written))
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
"""


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints what Compose makes of the file that it is given."""
    go = shutil.which("go")
    if not go:
        pytest.skip("there is no Go here")
    folder = tmp_path_factory.mktemp("loader")
    (folder / "main.go").write_text(PROGRAM)

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([go, *command], cwd=folder, capture_output=True, text=True, timeout=300, check=False)

    made = run("mod", "init", "loader")
    assert made.returncode == 0, made.stderr
    fetched = run("get", LOADER)
    if fetched.returncode:
        pytest.skip(f"Compose's loader cannot be fetched: {fetched.stderr.strip()[-300:]}")
    built = run("build", "-o", "loader", ".")
    assert built.returncode == 0, built.stderr
    return folder / "loader"


def load(loader: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [loader, ROOT / "docker-compose.yml"]
    return subprocess.run(
        command, env={"PATH": os.defpath, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def test_compose_reads_it(loader: Path) -> None:
    done = load(loader, POSTGRES_PASSWORD="s3cret", ELEPHANTASM_THRESHOLD="5", ELEPHANTASM_KAFKA_PORT="19999")
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert set(services) == set(SERVICES)
    score, broker = services["score"]["environment"], services["kafka"]
    assert score["ELEPHANTASM_DATABASE"] == "postgresql://elephantasm:s3cret@postgres:5432/elephantasm"
    assert score["ELEPHANTASM_THRESHOLD"] == "5"
    assert score["ELEPHANTASM_PARTITIONS"] is None  # not set: left to the default
    assert "ELEPHANTASM_OPENAI_API_KEY" not in score
    assert broker["environment"]["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://kafka:19092,HOST://127.0.0.1:19999"
    assert {port["host_ip"] for service in services.values() for port in service.get("ports", ())} == {"127.0.0.1"}


def test_compose_refuses_to_start_without_a_password(loader: Path) -> None:
    done = load(loader)
    assert done.returncode == 1
    assert "POSTGRES_PASSWORD is missing a value" in done.stderr
