"""`elephantasm dead-letters`: what could not be processed, and what to do about it, as the API has it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from stack.client import Client
from stack.errors import StackError
from stack.settings import Settings

PAGE = 200  # letters of one call of the API
REASON_CHARACTERS = 100


@dataclass(frozen=True)
class Chosen:
    """By id, or by all that is given of stage, topic and reason."""

    ids: list[str] | None
    stage: str | None
    topic: str | None
    reason: str | None

    def body(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value}


def list_letters(settings: Settings, wanted: dict[str, Any], as_json: bool) -> None:
    found = Client(settings).get("/dead-letters", **wanted)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    _print(found["items"], "state")
    print(f"{found['total']} match; `elephantasm dead-letters show ID` shows one")


def show(settings: Settings, letter: str, as_json: bool) -> None:
    found = Client(settings).get(f"/dead-letters/{letter}")
    print(json.dumps(found, indent=2) if as_json else text(found))


def text(found: dict[str, Any]) -> str:
    """For people: where the record stood, each try, and its bytes."""
    lines = [
        f"{found['stage']} could not process {position(found)} at {found['failed_at']}",
        f"  id       {found['id']}",
        f"  state    {found['state']}{_decision(found)}",
        f"  reason   {found['reason']}",
        f"  key      {found['key']}",
        f"  value    {found['bytes']:,} bytes, {found['encoding']}",
        "tries",
        *[f"  {one['attempt']}  {one['position']}: {one['reason']}{_outcome(one)}" for one in found["history"]],
    ]
    return "\n".join([*lines, found["value"] or "(no value)"])


def position(letter: dict[str, Any]) -> str:
    return f"{letter['topic']}/{letter['partition']}/{letter['offset']}"


def redrive(settings: Settings, chosen: Chosen, limit: int, dry_run: bool, as_json: bool) -> None:
    items = _pages(Client(settings), "redrive", chosen.body(), limit, dry_run)
    if as_json:
        print(json.dumps(items, indent=2))
        return
    _print(items, "position")
    print(f"{len(items)} would be redriven" if dry_run else f"{len(items)} redriven")


def discard(settings: Settings, chosen: Chosen, why: str, limit: int, dry_run: bool, as_json: bool) -> None:
    items = _pages(Client(settings), "discard", chosen.body() | {"why": why}, limit, dry_run)
    if as_json:
        print(json.dumps(items, indent=2))
        return
    _print(items, None)
    print(f"{len(items)} would be discarded" if dry_run else f"{len(items)} discarded; they stay, marked")


def _pages(client: Client, action: str, body: dict[str, Any], limit: int, dry_run: bool) -> list[dict[str, Any]]:
    """At most `limit` letters, in calls that the API takes. A dry run shows the first call's."""
    if not body.keys() & {"ids", "stage", "topic", "reason"}:
        raise StackError("say which: give ids, or some of --stage, --topic and --reason; --dry-run only shows them")
    body = body | {"dry_run": dry_run}
    if "ids" not in body:
        body["failed_before"] = datetime.now(UTC).isoformat()  # what fails again meanwhile is not taken up once more
    items: list[dict[str, Any]] = []
    while len(items) < limit:
        most = min(PAGE, limit - len(items))
        done = client.post(f"/dead-letters/{action}", body | {"limit": most})["items"]
        items += done
        if dry_run or "ids" in body or len(done) < most:
            break
    return items


def _print(letters: list[dict[str, Any]], last: str | None) -> None:
    table = Table("id", "stage", "record", "try", "reason", *([last] if last else []), box=None, pad_edge=False)
    for one in letters:
        source, reason = one.get("source") or position(one), one["reason"]
        shown = reason if len(reason) <= REASON_CHARACTERS else f"{reason[:REASON_CHARACTERS]}…"
        table.add_row(
            one["id"], one["stage"], source, str(one["attempts"]), shown, *([one[last] or ""] if last else [])
        )
    Console(highlight=False, markup=False, soft_wrap=True).print(table)


def _decision(found: dict[str, Any]) -> str:
    return "" if found["state"] == "open" else f" by {found['decided_by']} at {found['decided_at']}{_outcome(found)}"


def _outcome(one: dict[str, Any]) -> str:
    return {"open": "", "redriven": f" → redriven as {one['note']}", "discarded": f" → discarded: {one['note']}"}[
        one["state"]
    ]
