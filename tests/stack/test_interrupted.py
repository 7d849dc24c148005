"""Ctrl-C, and what the next start finds."""

import os
import signal
from pathlib import Path

import httpx

from stack.embedded import Stack
from stack.leftovers import leftovers
from stack.ports import require_free
from tests.stack.conftest import LIMIT_S, Foreground, elephantasm, settings_in


def test_ctrl_c_ends_everything_and_a_second_demo_finds_all_of_it_again(tmp_path: Path) -> None:
    running = Foreground(settings_in(tmp_path))
    settings = running.stack.settings
    try:
        assert running.says("Ctrl-C stops it"), running.lines
        pack = _pack(elephantasm(settings, "demo").stdout)
        assert "Bluefinch Courier" in pack
        with _api(running.stack) as http:
            anima = http.post("/animas", json={"name": "Heron"}).raise_for_status().json()["id"]
            said = {"anima_id": anima, "event_type": "message.in", "content": "The kiln is cold by Friday."}
            event = http.post("/events", json=said).raise_for_status().json()["id"]
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.ends() == 0, running.lines
        assert list(leftovers(running.stack.directory)) == []
        for port in (settings.api_port, settings.kafka_port, settings.kafka_controller_port):
            require_free("127.0.0.1", port, "it")
        again = elephantasm(settings, "demo")
        assert again.returncode == 0, again.stderr
        assert "is in the log already" in again.stdout
        assert _pack(again.stdout) == pack
        with _api(running.stack) as http:
            assert http.get(f"/events/{event}").raise_for_status().json()["content"] == said["content"]
    finally:
        running.stack.stop()
        running.ends()


def _api(stack: Stack) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{stack.settings.api_port}/api", timeout=LIMIT_S)


def _pack(shown: str) -> str:
    """From the question to the pack's id."""
    return shown[shown.index("the pack is:") : shown.index("The stack goes on running")]
