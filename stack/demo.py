"""`make demo`: a conversation of some weeks, published by a foreign producer, becomes memories and a pack."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stack.client import Client, NotFound
from stack.embedded import Stack
from stack.environment import configured
from stack.errors import StackError
from stack.pack import show
from stack.progress import progress
from stack.settings import SecurityProtocol, Settings
from streams.kafka import bootstrap, password, topics_of
from streams.positions import anima_of

EXAMPLES = Path(__file__).parent.parent / "examples"
KEY = "wren"
ANIMA = anima_of(KEY.encode())
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
        after = _remembered(client, events)
        request = {"query": QUESTION, "max_tokens": 700, "now": NOW, "after": after, "settled": True}
        answer = client.post("/packs/compile", request | {"anima_id": str(ANIMA)})
    memories = client.get("/memories", anima_id=ANIMA, limit=200)
    print(f"{events} events became {len(memories)} memories. For the question\n\n  {QUESTION}\n\nthe pack is:\n")
    show(answer, parts=None)
    _next_steps(client, answer)


def _stored(client: Client) -> int:
    try:
        return int(client.get(f"/animas/{ANIMA}")["events"])
    except NotFound:
        return 0


def _publish(settings: Settings) -> None:
    options = ["--bootstrap", bootstrap(settings), *_protection(settings)]
    options += ["--topic", topics_of(settings).events.name, "--key", KEY]
    print(f"$ python examples/publish.py {' '.join(options)}", flush=True)
    command = [sys.executable, str(EXAMPLES / "publish.py"), *options]
    secret = {"KAFKA_PASSWORD": password(settings)} if settings.kafka_security_protocol.asks_for_user else {}
    if subprocess.run(command, env=os.environ | secret, check=False).returncode:  # noqa: S603  our own file
        raise StackError("the sample could not be published; the line above says why")


def _protection(settings: Settings) -> list[str]:
    """As options; the password is none of them, because every user of the machine can list command lines."""
    chosen = {
        "--security-protocol": settings.kafka_security_protocol,
        "--sasl-mechanism": settings.kafka_sasl_mechanism,
        "--sasl-username": settings.kafka_sasl_username,
        "--ca-file": settings.kafka_ssl_cafile,
        "--cert-file": settings.kafka_ssl_certfile,
        "--key-file": settings.kafka_ssl_keyfile,
    }
    if settings.kafka_security_protocol is SecurityProtocol.plaintext:
        return []
    return [part for option, value in chosen.items() if value for part in (option, str(value))]


def _remembered(client: Client, events: int) -> str:
    """The position of the last event, once all are rows."""
    deadline = time.monotonic() + REMEMBERED_S
    while _stored(client) < events:
        if time.monotonic() > deadline:
            raise StackError(
                f"not all events were stored within {REMEMBERED_S:.0f} s; `elephantasm logs sink` may say why"
            )
        time.sleep(0.1)
    (last,) = client.get("/events", anima_id=ANIMA, limit=1)
    return str(last["position"])


def _next_steps(client: Client, answer: dict[str, Any]) -> None:
    item = answer["items"][-1]
    print(f"""
The stack goes on running. Try

  .venv/bin/elephantasm pack {KEY} "Why is the new lot not organic?"
  .venv/bin/elephantasm lineage {item["kind"]} {item["id"]}
  .venv/bin/elephantasm status
  curl -s '{client.base}/memories?anima_id={ANIMA}&limit=3'
  tail -n +1 examples/questions.jsonl        # more to ask, with the evidence
  make down                                  # stops it; make up finds everything again""")
