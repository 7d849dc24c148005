"""`elephantasm lineage`: where an item comes from, and what was derived from it."""

import json
from typing import Any

from stack.client import Client
from stack.errors import StackError
from stack.settings import Settings

KINDS = ("event", "memory")
SHOWN = 20


def lineage(settings: Settings, kind: str, identity: str, as_json: bool) -> None:
    """Raises StackError if there is no such item, or no API."""
    if kind not in KINDS:
        raise StackError(f"there is no kind {kind!r}; kinds are {' and '.join(KINDS)}")
    found = Client(settings).get(f"/lineage/{kind}/{identity}")
    print(json.dumps(found, indent=2) if as_json else text(found))


def text(found: dict[str, Any]) -> str:
    """For people: the item, how it was made, what it rests on, what rests on it."""
    revision = f" revision {found['revision']}" if found["revision"] else ""
    lines = [f"{found['kind']} {found['id']}{revision}", f"  at {found['position']}, known {found['recorded_at']}"]
    if found["made"]:
        lines += _made(found["made"])
    lines += [
        "from",
        *_some([f"  {one['position']}  event {one['event_id']}{_weight(one)}" for one in found["sources"]]),
    ]
    if found["derived"]:
        lines += ["derived from it"]
    for one in found["derived"]:
        lines += [f"  {one['kind']} {one['id']} revision {one['revision']}{_weight(one)}"]
        lines += [f"  {line}" for line in _made(one["made"])]
    return "\n".join(lines)


def _made(made: dict[str, Any]) -> list[str]:
    trigger = made["trigger"]
    return [
        f"  made by {made['model']} with prompt {made['prompt_name']} ({made['prompt_hash'][:12]}),"
        f" generation {made['generation']}",
        f"  trigger {trigger['id']}: {trigger['reason']}, score {trigger['score']:.2f} of {trigger['threshold']:g},"
        f" fired {trigger['fired_at']}",
        f"  window {trigger['first']} to {trigger['last']}: {trigger['events']} events, {trigger['tokens']} tokens",
    ]


def _weight(one: dict[str, Any]) -> str:
    return "" if one["weight"] is None else f"  weight {one['weight']:.3f}"


def _some(lines: list[str]) -> list[str]:
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"  … and {len(lines) - SHOWN} more; --json shows all"]
