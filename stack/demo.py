"""`make demo`: a conversation of some weeks, published by a foreign producer, becomes memories and a pack."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stack.client import Client
from stack.embedded import Stack
from stack.environment import configured
from stack.errors import StackError
from stack.pack import show
from stack.progress import progress
from stack.settings import Settings
from streams.kafka import bootstrap, topics_of

EXAMPLES = Path(__file__).parent.parent / "examples"
KEY = "wren"
QUESTION = "Which carrier picks up our parcels now, and when must an order be paid to leave the same day?"
NOW = "2026-06-12T12:00:00Z"  # the day on which the sample ends: ages are told from there
REMEMBERED_S = 120.0


def main() -> None:
    settings, say = configured(), progress()
    Stack(settings, say).start()
    client = Client(settings)
    events = sum(1 for _ in (EXAMPLES / "telemetry.jsonl").open())
    if _stored(client) >= events:
        print(f"The sample conversation of {events} events is in the log already, under the key {KEY!r}.")
    else:
        _publish(settings)
    with say.step("waiting until the conversation is remembered"):
        anima, after = _remembered(client, events)
        request = {"anima_id": anima, "query": QUESTION, "max_tokens": 700, "now": NOW, "after": after, "settled": True}
        answer = client.post("/packs/compile", request)
    memories = client.get("/memories", anima_id=anima, limit=200)
    print(f"{events} events became {len(memories)} memories. For the question\n\n  {QUESTION}\n\nthe pack is:\n")
    show(answer)
    _next_steps(client, anima, answer)


def _stored(client: Client) -> int:
    return int(next((anima["events"] for anima in _named(client)), 0))


def _named(client: Client) -> list[dict[str, Any]]:
    return [anima for anima in client.get("/animas/search", name=KEY) if anima["key"] == KEY]


def _publish(settings: Settings) -> None:
    command = [sys.executable, str(EXAMPLES / "publish.py"), "--bootstrap", bootstrap(settings)]
    command += ["--topic", topics_of(settings).events.name, "--key", KEY]
    print(f"$ python examples/publish.py {' '.join(command[2:])}", flush=True)
    if subprocess.run(command, check=False).returncode:  # noqa: S603  our own file, with settings of ours
        raise StackError("the sample could not be published; the line above says why")


def _remembered(client: Client, events: int) -> tuple[str, str]:
    """The anima and the position of its last event, once all events are rows."""
    deadline = time.monotonic() + REMEMBERED_S
    while _stored(client) < events:
        if time.monotonic() > deadline:
            raise StackError(
                f"not all events were stored within {REMEMBERED_S:.0f} s; `elephantasm logs sink` may say why"
            )
        time.sleep(0.1)
    (anima,) = _named(client)
    (last,) = client.get("/events", anima_id=anima["id"], limit=1)
    return anima["id"], last["position"]


def _next_steps(client: Client, anima: str, answer: dict[str, Any]) -> None:
    item = answer["items"][-1]
    print(f"""
The stack goes on running. Try

  .venv/bin/elephantasm pack {KEY} "Why is the new lot not organic?"
  .venv/bin/elephantasm lineage {item["kind"]} {item["id"]}
  .venv/bin/elephantasm status
  curl -s '{client.base}/memories?anima_id={anima}&limit=3'
  tail -n +1 examples/questions.jsonl        # more to ask, with the evidence
  make down                                  # stops it; make up finds everything again""")
