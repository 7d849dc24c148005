"""Dead letters over HTTP and on the command line: list, show, redrive, discard. On a log of the test's own."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from stack.environment import variables
from streams.kafka import topics_of
from tests.api.conftest import Anima, MakeWorld, Serve, connected, eventually, new_anima, only, publish
from tests.conftest import World, free_port
from tests.live.log import Sent, read, send
from tests.stack.conftest import elephantasm

UNKNOWN = "7f0c8a5e-53a1-4c6e-9d53-0a2b7f6f3b11"
LONG = b'"' + b"\xc3\xa9" * 4000 + b'"'


@dataclass
class Letters:
    """Three records that are no events, of one anima, in the dead letters: bytes, text, and long text."""

    world: World
    http: httpx.AsyncClient
    anima: Anima

    async def items(self, **wanted: Any) -> list[dict[str, Any]]:
        """In the order of the log."""
        found = (await self.http.get("/dead-letters", params=wanted)).json()
        assert found["total"] == len(found["items"])
        return sorted(found["items"], key=lambda letter: letter["offset"])

    async def ids(self) -> list[str]:
        return [letter["id"] for letter in await self.items()]

    async def redriven(self) -> list[Any]:
        log = await read(self.world.settings, topics_of(self.world.settings).events.name)
        return [record for record in log if record.headers]


@pytest.fixture
async def letters(make_world: MakeWorld, serve: Serve) -> Letters:
    world = await make_world(after_timeout_s=30.0, api_port=free_port(), api_processes=1)
    world.stage("sink")
    http = await connected(await serve(world.settings))
    anima = await new_anima(http)
    await publish(world.settings, anima.key.encode(), b"\xff\xfe", b"{no json", LONG)

    async def arrived() -> bool:
        return bool((await http.get("/dead-letters")).json()["total"] == 3)

    await eventually(arrived)
    return Letters(world, http, anima)


async def test_the_list(letters: Letters) -> None:
    binary, text, long = await letters.items(stage="sink")
    assert {letter["key"] for letter in (binary, text, long)} == {letters.anima.key}
    assert (text["value"], text["encoding"], text["bytes"], text["state"]) == ("{no json", "utf-8", 8, "open")
    assert text["reason"].startswith("not JSON")
    assert (base64.b64decode(binary["value"]), binary["encoding"]) == (b"\xff\xfe", "base64")
    assert (long["value"], long["encoding"], long["bytes"]) == ('"' + "é" * 1999, "utf-8", 8002)
    page = (await letters.http.get("/dead-letters", params={"limit": 1, "offset": 1})).json()
    assert (page["total"], len(page["items"])) == (3, 1)
    assert await letters.items(stage="index") == await letters.items(topic="elsewhere") == []
    assert await letters.items(state="discarded") == []
    assert await letters.items(reason="NO OBJECT") == [long]


async def test_one_letter_with_all_its_bytes(letters: Letters) -> None:
    binary, _, long = await letters.ids()
    shown = (await letters.http.get(f"/dead-letters/{long}")).json()
    assert (shown["value"].encode(), shown["bytes"]) == (LONG, 8002)
    assert base64.b64decode(shown["key_base64"]) == letters.anima.key.encode()
    [only_try] = shown["history"]
    assert (only_try["attempt"], only_try["state"], only_try["reason"]) == (1, "open", shown["reason"])
    shown = (await letters.http.get(f"/dead-letters/{binary}")).json()
    assert (base64.b64decode(shown["value"]), shown["encoding"]) == (b"\xff\xfe", "base64")
    assert (await letters.http.get(f"/dead-letters/{UNKNOWN}")).status_code == 404


async def test_letters_of_ones_own(letters: Letters, serve: Serve) -> None:
    other = await new_anima(letters.http)
    mine, others = [
        await connected(await serve(letters.world.settings, only(anima))) for anima in (letters.anima, other)
    ]
    assert (await mine.get("/dead-letters")).json()["total"] == 3
    assert (await others.get("/dead-letters")).json() == {"total": 0, "items": []}
    path = f"/dead-letters/{(await letters.ids())[0]}"
    assert (await mine.get(path)).status_code == 200
    assert (await others.get(path)).status_code == 404
    for action, selection in (("redrive", {"stage": "sink"}), ("discard", {"stage": "sink", "why": "w"})):
        assert (await mine.post(f"/dead-letters/{action}", json=selection)).status_code == 403
    assert {letter["state"] for letter in await letters.items()} == {"open"}


async def test_discarded_letters_stay_with_who_and_why(letters: Letters) -> None:
    first, second, _ = await letters.ids()
    body = {"ids": [first], "why": "a test of the producer"}
    preview = await letters.http.post("/dead-letters/discard", json=body | {"dry_run": True})
    assert [one["id"] for one in preview.json()["items"]] == [first]
    assert {letter["state"] for letter in await letters.items()} == {"open"}
    done = await letters.http.post("/dead-letters/discard", json=body)
    assert [one["id"] for one in done.json()["items"]] == [first]
    [kept] = await letters.items(state="discarded")
    assert (kept["id"], kept["decided_by"], kept["note"]) == (first, "local", "a test of the producer")
    assert base64.b64decode(kept["value"]) == b"\xff\xfe"
    again = await letters.http.post("/dead-letters/redrive", json={"ids": [second, first]})
    assert again.status_code == 409
    assert "was discarded by local" in again.json()["detail"]
    assert await letters.redriven() == []  # all of a selection, or nothing
    rest = await letters.http.post("/dead-letters/discard", json={"reason": "not json", "why": "x"})
    assert [one["id"] for one in rest.json()["items"]] == [second]


async def test_a_selection_is_bounded_and_says_what_it_leaves(letters: Letters) -> None:
    selection = {"topic": topics_of(letters.world.settings).events.name, "limit": 2}
    preview = (await letters.http.post("/dead-letters/redrive", json=selection | {"dry_run": True})).json()
    assert (preview["matching"], preview["dry_run"]) == (3, True)
    assert [one["id"] for one in preview["items"]] == (await letters.ids())[:2]
    assert await letters.redriven() == []
    done = (await letters.http.post("/dead-letters/redrive", json=selection)).json()
    assert [one["source"] for one in done["items"]] == [one["source"] for one in preview["items"]]
    assert len(await letters.redriven()) == 2
    before = {"stage": "sink", "failed_before": "2020-01-01T00:00:00Z"}
    assert (await letters.http.post("/dead-letters/redrive", json=before)).json()["matching"] == 0


@pytest.mark.parametrize(
    ("selection", "status"),
    [
        ({}, 422),
        ({"limit": 5}, 422),
        ({"stge": "sink"}, 422),
        ({"ids": []}, 422),
        ({"ids": [UNKNOWN], "stage": "sink"}, 422),
        ({"stage": "sink", "limit": 201}, 422),
        ({"ids": [UNKNOWN]}, 404),
        ({"stage": "index"}, 200),
    ],
)
async def test_a_selection_says_what_it_means(letters: Letters, selection: dict[str, Any], status: int) -> None:
    assert (await letters.http.post("/dead-letters/redrive", json=selection)).status_code == status
    assert (await letters.http.post("/dead-letters/discard", json=selection | {"why": "w"})).status_code == status
    assert (await letters.http.post("/dead-letters/discard", json=selection)).status_code == 422
    assert await letters.redriven() == []


async def test_a_record_without_a_value_is_not_sent_again(letters: Letters) -> None:
    await send(letters.world.settings, [Sent(letters.anima.key.encode(), None)])
    [letter] = await eventually(lambda: letters.items(reason="null"))
    answer = await letters.http.post("/dead-letters/redrive", json={"ids": [letter["id"]]})
    assert answer.status_code == 409
    assert "has no value" in answer.json()["detail"]
    by_reason = await letters.http.post("/dead-letters/redrive", json={"reason": "null"})
    assert by_reason.json() == {"matching": 0, "items": [], "dry_run": False}


def start_api(world: World) -> None:
    command = [sys.executable, "-m", "stack.cli", "api"]
    environment = os.environ | variables(world.settings)
    with (world.folder / "api.log").open("ab") as log:
        world.workers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))


async def test_the_command_line(letters: Letters) -> None:
    world = letters.world
    start_api(world)

    async def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return await asyncio.to_thread(elephantasm, world.settings, "dead-letters", *arguments)

    async def up() -> bool:
        return (await run("list")).returncode == 0

    await eventually(up, 60)
    binary, text, long = await letters.ids()
    listed = json.loads((await run("list", "--stage", "sink", "--reason", "JSON", "--json")).stdout)
    assert {one["id"] for one in listed["items"]} == {binary, text, long}
    assert "3 match" in (await run("list")).stdout
    shown = (await run("show", text)).stdout
    assert "{no json" in shown
    assert letters.anima.key in shown
    assert json.loads((await run("show", binary, "--json")).stdout)["encoding"] == "base64"
    assert (await run("redrive", "--reason", "not JSON", "--dry-run")).stdout.endswith("2 would be redriven\n")
    assert (await run("discard", long, "--why", "too long")).stdout.endswith("1 discarded; they stay, marked\n")
    redriven = json.loads((await run("redrive", "--reason", "not JSON", "--json")).stdout)
    assert [one["id"] for one in redriven] == [binary, text]
    assert len(await letters.redriven()) == 2
    assert f"redriven as {redriven[1]['position']}" in (await run("show", text)).stdout
    assert "discarded: too long" in (await run("show", long)).stdout
    for arguments, reason in (
        (("redrive",), "say which"),
        (("redrive", text), "was redriven by local"),
        (("discard", long), "--why"),
        (("show", UNKNOWN), "is not known"),
    ):
        refused = await run(*arguments)
        assert refused.returncode != 0
        assert reason in refused.stderr
        assert "Traceback" not in refused.stderr
