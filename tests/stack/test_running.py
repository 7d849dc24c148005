"""One stack, from its first start through everything that can happen to it. The tests run in this order."""

import os
import signal
from pathlib import Path

import httpx
import psycopg
import pytest

from sinks.database import dsn
from stack.embedded import Stack
from stack.leftovers import leftovers
from stack.processes import STAGES
from stack.supervision import Running
from stack.waiting import until
from tests.stack.conftest import LIMIT_S, Foreground, elephantasm, process, settings_in


def test_everything_runs_and_a_second_up_says_so(foreground: Foreground) -> None:
    status = foreground.stack.status()
    assert status.ready, status.reason
    assert {each.name for each in status.processes} == {"postgres", "kafka", "api", *STAGES}
    assert all(each.restarts == 0 and each.rss_bytes > 0 for each in status.processes)
    again = elephantasm(foreground.stack.settings, "up", "--detach")
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "already running")


def test_status_is_for_people_and_programs(foreground: Foreground) -> None:
    shown = elephantasm(foreground.stack.settings, "status")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[-1] == "ready"
    assert '"ready": true' in elephantasm(foreground.stack.settings, "status", "--json").stdout


def test_a_killed_stage_is_restarted_and_reported(foreground: Foreground) -> None:
    before = process(foreground.stack, "sink")
    assert before.pid
    os.kill(before.pid, signal.SIGKILL)
    assert foreground.says("exited: sink", "SIGKILL")
    assert foreground.says("spawned: 'sink'")
    assert until(lambda: process(foreground.stack, "sink").pid not in (None, before.pid), LIMIT_S)
    assert process(foreground.stack, "sink").restarts == 1


def test_a_killed_server_comes_back_with_its_rows(foreground: Foreground) -> None:
    with psycopg.connect(dsn(foreground.stack.settings), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    postmaster = process(foreground.stack, "postgres").pid
    assert postmaster
    os.kill(postmaster, signal.SIGKILL)
    assert until(lambda: _kept(foreground.stack) == 42, LIMIT_S)
    assert until(lambda: foreground.stack.status().ready, LIMIT_S), foreground.stack.status()


@pytest.mark.parametrize("last", [("postgres", "kafka"), ("kafka", "api", "postgres")])
def test_the_order_of_starting_does_not_matter(foreground: Foreground, last: tuple[str, ...]) -> None:
    """Everything that needs these has been up before them, and found them away."""
    stack = foreground.stack
    running = {each.name: each for each in stack.supervisor.processes()}
    for each in running.values():
        stack.supervisor.stop_process(each)
    assert until(lambda: not any(each.pid for each in stack.supervisor.processes()), LIMIT_S)
    early = [each for name, each in running.items() if name not in last]
    for each in early:
        stack.supervisor.start_process(each)
    assert until(lambda: all(one.starts > running[one.name].starts for one in _of(stack, early)), LIMIT_S)
    for name in last:
        stack.supervisor.start_process(running[name])
    assert until(lambda: stack.status().ready, LIMIT_S), stack.status()
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.settings.api_port}/api", timeout=LIMIT_S) as http:
        anima = http.post("/animas", json={"name": f"after {last[0]}"}).raise_for_status().json()["id"]
        said = {"anima_id": anima, "event_type": "message.in", "content": "The order did not matter."}
        after = http.post("/events", json=said).raise_for_status().json()["position"]
        asked = {"anima_id": anima, "query": "order", "after": after, "settled": True}
        pack = http.post("/packs/compile", json=asked).raise_for_status().json()
    assert "The order did not matter." in pack["content"]


def test_a_taken_port_is_named_with_its_setting(foreground: Foreground, tmp_path: Path) -> None:
    taken = foreground.stack.settings.kafka_port
    refused = elephantasm(settings_in(tmp_path).model_copy(update={"kafka_port": taken}), "up", "--detach")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"elephantasm: Port {taken} on 127.0.0.1 is in use by java")
    assert "ELEPHANTASM_KAFKA_PORT" in refused.stderr
    assert not (tmp_path / "supervisord.conf").exists()


def test_two_stacks_run_side_by_side(foreground: Foreground, tmp_path: Path) -> None:
    other = Stack(settings_in(tmp_path))
    try:
        assert other.start()
        assert other.status().ready
        assert foreground.stack.status().ready
        pids = {each.pid for each in other.status().processes}
        assert pids.isdisjoint(each.pid for each in foreground.stack.status().processes)
    finally:
        assert other.stop()
    assert list(leftovers(other.directory)) == []
    assert foreground.stack.status().ready


def test_after_the_process_manager_was_killed_up_recovers(foreground: Foreground) -> None:
    stack = foreground.stack
    os.kill(stack.supervisor.pid(), signal.SIGKILL)
    assert foreground.ends() == 1
    assert foreground.says("was killed", "`elephantasm up` starts it again")
    orphans = {left.process.pid for left in leftovers(stack.directory)}
    assert orphans
    assert stack.start()
    assert stack.status().ready
    assert orphans.isdisjoint(left.process.pid for left in leftovers(stack.directory))
    assert _kept(stack) == 42


def test_down_stops_everything_and_says_whether_there_was_anything(foreground: Foreground) -> None:
    assert elephantasm(foreground.stack.settings, "down").stdout == "stopped\n"
    assert list(leftovers(foreground.stack.directory)) == []
    assert elephantasm(foreground.stack.settings, "down").stdout == "not running\n"
    assert elephantasm(foreground.stack.settings, "status").returncode == 1


def _of(stack: Stack, some: list[Running]) -> list[Running]:
    """The same processes as they are now."""
    names = {each.name for each in some}
    return [each for each in stack.supervisor.processes() if each.name in names]


def _kept(stack: Stack) -> int | None:
    try:
        with psycopg.connect(dsn(stack.settings)) as connection:
            row = connection.execute("SELECT answer FROM kept").fetchone()
    except psycopg.OperationalError:
        return None
    return int(row[0]) if row else None
