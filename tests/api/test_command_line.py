"""`produce` and `lineage` against the running stack; `lag` is tested with its endpoint."""

import asyncio
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx

from stack.embedded import Stack
from streams.positions import anima_of
from tests.conftest import free_port
from tests.stack.conftest import elephantasm


async def run(stack: Stack, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(elephantasm, stack.settings, *arguments, **environment)


def lines(folder: Path, *events: Any) -> Path:
    file = folder / "events.jsonl"
    file.write_text("\n".join(event if isinstance(event, str) else json.dumps(event) for event in events))
    return file


async def test_produced_events_can_be_read_and_traced(stack: Stack, http: httpx.AsyncClient, tmp_path: Path) -> None:
    key = f"produced-{uuid.uuid4().hex}"
    said = [
        {"event_type": "message.in", "content": f"Number {n}.", "occurred_at": f"2026-01-0{n}T00:00:00Z"}
        for n in (1, 2)
    ]
    done = await run(stack, "produce", "--anima", key, "--file", str(lines(tmp_path, said[0], "", said[1])))
    assert done.stdout.startswith("published 2 events, elephantasm.events/"), done.stderr
    last = done.stdout.split()[-1]
    anima = str(anima_of(key.encode()))
    while (found := await http.get("/events", params={"anima_id": anima, "after": last})).status_code != 200:
        assert found.status_code == 503
    second, first = found.json()
    assert (first["content"], second["content"], second["position"]) == ("Number 1.", "Number 2.", last)
    assert second["recorded_at"] == second["occurred_at"] == "2026-01-02T00:00:00Z"
    traced = await run(stack, "lineage", "event", second["id"], "--json")
    assert json.loads(traced.stdout)["sources"][0]["position"] == last
    assert last in (await run(stack, "lineage", "event", second["id"])).stdout


async def test_a_pack_is_asked_for_by_id_key_or_name(stack: Stack, http: httpx.AsyncClient) -> None:
    key, name = f"asked-{uuid.uuid4().hex}", f"Roaster {uuid.uuid4()}"
    made = (await http.post("/animas", json={"name": name, "key": key})).json()
    event = {"anima_id": made["id"], "event_type": "message.in", "content": "The new lot is washed."}
    assert (await http.post("/events", json=event)).status_code == 201
    for named in (made["id"], key, name):
        answer = json.loads((await run(stack, "pack", named, "Which lot?", "--json")).stdout)
        assert [item["text"] for item in answer["items"]] == ["The new lot is washed."]
        assert "The new lot is washed." in (await run(stack, "pack", named, "Which lot?")).stdout
    unknown = await run(stack, "pack", "nobody's", "Which lot?")
    assert unknown.returncode == 1
    assert """no anima has the id, key or name "nobody's\"""" in unknown.stderr


async def test_standard_input(stack: Stack, http: httpx.AsyncClient) -> None:
    key = f"piped-{uuid.uuid4().hex}"
    shell = (
        f"""echo '{{"event_type": "a", "content": "Piped."}}' | {sys.executable} -m stack.cli produce --anima {key}"""
    )
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-c", shell], env=environment(stack), capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("published 1 events")


def environment(stack: Stack) -> dict[str, str]:
    import os

    from stack.environment import variables

    return os.environ | variables(stack.settings)


async def test_a_line_that_is_no_event(stack: Stack, http: httpx.AsyncClient, tmp_path: Path) -> None:
    key = f"refused-{uuid.uuid4().hex}"
    for wrong, reason in (
        ({"event_type": "a"}, "line 2: content: Field required"),
        ("{no json", "line 2: not JSON"),
        ({"kind": "tick"}, "line 2: this command publishes events"),
    ):
        file = lines(tmp_path, {"event_type": "a", "content": "x"}, wrong)
        refused = await run(stack, "produce", "--anima", key, "--file", str(file))
        assert refused.returncode == 1
        assert reason in refused.stderr
        assert "nothing is published" in refused.stderr
    assert (await http.get(f"/animas/{anima_of(key.encode())}")).status_code == 404


async def test_refusals_name_the_way_out(stack: Stack, tmp_path: Path) -> None:
    away = str(free_port())
    file = str(lines(tmp_path, {"event_type": "a", "content": "x"}))
    for arguments, reason in (
        (("produce", "--anima", "x", "--file", file), "ELEPHANTASM_KAFKA"),
        (("lag",), "ELEPHANTASM_KAFKA"),
        (("lineage", "event", "7f0c8a5e-53a1-4c6e-9d53-0a2b7f6f3b11"), "`elephantasm up` starts one"),
    ):
        refused = await run(stack, *arguments, ELEPHANTASM_KAFKA_PORT=away, ELEPHANTASM_API_PORT=away)
        assert refused.returncode == 1
        assert reason in refused.stderr
        assert "Traceback" not in refused.stderr
    for arguments, reason in (
        (("produce", "--anima", "x", "--file", "/nowhere"), "/nowhere cannot be read"),
        (("lineage", "dream", "x"), "kinds are event and memory"),
        (("lineage", "event", "7f0c8a5e-53a1-4c6e-9d53-0a2b7f6f3b11"), "is not known"),
        (("lineage", "memory", "a/b c é"), "404"),
    ):
        refused = await run(stack, *arguments)
        assert refused.returncode == 1
        assert reason in refused.stderr
        assert "Traceback" not in refused.stderr
