"""The generated documents are as the code says, and AsyncAPI's hold together."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml  # type: ignore[import-untyped]

from docs import generate
from docs.generate.defaults import TOPICS
from stack.settings import Settings
from streams.dead_letters import DeadLetter, Decision, Verdict
from streams.positions import Position
from streams.records import Event
from streams.topology import STAGES

DOCS = generate.FOLDER
ASYNC: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())


def test_nothing_is_out_of_date() -> None:
    assert generate.differing() == [], "run python -m docs.generate"


def test_check_names_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in generate.documents().items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    assert generate.main(["--check"]) == 0
    (tmp_path / "settings.md").write_text("edited")
    (tmp_path / "openapi.json").unlink()
    assert generate.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "docs/settings.md" in said
    assert "docs/openapi.json" in said
    assert "topology.md" not in said
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_settings_do_not_depend_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = generate.documents()
    monkeypatch.setenv("ELEPHANTASM_PARTITIONS", "3")
    monkeypatch.setenv("ELEPHANTASM_TOPIC_PREFIX", "other.")
    assert generate.documents() == before


def test_every_setting_has_a_row_that_says_what_it_does() -> None:
    text = (DOCS / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"| `ELEPHANTASM_{name.upper()}` |" in text
        assert field.description
        assert field.description.replace("|", "\\|") in text


def test_the_picture_has_every_stage_and_every_arrow() -> None:
    text = (DOCS / "topology.md").read_text()
    for stage in STAGES:
        assert f"    {stage.name}[{stage.name}]\n" in text
        assert f"({Path('..', *stage.step.split('.'))}.py)" in text


# AsyncAPI


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(reference: str) -> Any:
    found: Any = ASYNC
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_reference_resolves() -> None:
    found = set(references(ASYNC))
    assert found
    for reference in found:
        assert reference.startswith("#/")
        resolve(reference)


def test_operations_are_those_of_the_topology() -> None:
    for operation in ASYNC["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["channel"]["$ref"].startswith("#/channels/")
    for stage in STAGES:
        for topic in stage.reads(TOPICS):
            channel = topic.name.removeprefix("elephantasm.").removeprefix("g1.").replace("-", "_")
            assert ASYNC["operations"][f"{stage.name}_receives_{channel}"]["action"] == "receive"


def test_every_message_says_what_its_key_is() -> None:
    for channel in ASYNC["channels"].values():
        for message in map(resolve, references(channel["messages"])):
            assert (
                message["name"] in ("Tick", "DeadLetter", "Decision")
                or message["bindings"]["kafka"]["key"]["description"]
            )


def test_the_schema_of_an_event_is_what_a_producer_needs() -> None:
    schema = resolve("#/components/schemas/Event")
    assert schema["required"] == ["event_type", "content"]
    assert set(schema["properties"]) == set(Event.model_fields)


def test_dead_letters_have_the_headers_that_are_documented() -> None:
    source = Position("elephantasm.events", 3, 1042)
    letter = DeadLetter(source, "sink", "no key", None, b"{}", 0)
    again = replace(letter, attempts=2, first=source)
    headers = resolve("#/components/messages/DeadLetter")["headers"]
    assert [name for name, _ in letter.headers()] == headers["required"]
    assert [name for name, _ in again.headers()] == list(headers["properties"])
    decision = Decision(source, "sink", Verdict.discarded, "local", "a test")
    headers = resolve("#/components/messages/Decision")["headers"]
    assert [name for name, _ in decision.headers()] == headers["required"] == list(headers["properties"])
    headers = resolve("#/components/schemas/Redriven")
    assert [name for name, _ in letter.again().headers()] == list(headers["properties"])


def test_openapi_is_json_with_sorted_keys() -> None:
    text = (DOCS / "openapi.json").read_text()
    assert json.dumps(orjson.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n" == text
