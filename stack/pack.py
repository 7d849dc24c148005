"""`elephantasm pack`: compile a pack and show what is in it, why, and where it comes from."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from stack.client import Client, anima_id
from stack.settings import Settings


def pack(settings: Settings, anima: str, query: str | None, max_tokens: int | None, preset: str, as_json: bool) -> None:
    client = Client(settings)
    request = {"anima_id": anima_id(client, anima), "query": query, "max_tokens": max_tokens, "preset": preset}
    answer = client.post("/packs/compile", {name: value for name, value in request.items() if value is not None})
    if as_json:
        json.dump(answer, sys.stdout, indent=2)
        print()
    else:
        show(answer)


def show(answer: dict[str, Any], parts: int | None = 3) -> None:
    """The pack as the prompt gets it, then a row per item, with so many parts of its score, or all."""
    print(answer["content"])
    print(f"\n{answer['token_count']} of {answer['max_tokens']} tokens · pack {answer['pack_id'][:16]}\n")
    table = Table("item", "chosen by", "score", "parts", "from", box=None, header_style="bold", pad_edge=False)
    for item in answer["items"]:
        table.add_row(
            f"{item['kind']}: {_short(item['text'])}",
            item["reason"],
            f"{item['scores']['total']:.2f}",
            _parts(item["scores"], parts),
            " to ".join(dict.fromkeys(item["lineage"]["positions"])),
        )
    Console(width=None if sys.stdout.isatty() else 200, markup=False, highlight=False).print(table)


def _short(text: str, width: int = 44) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def _parts(scores: dict[str, float], most: int | None) -> str:
    """Those that count most, largest first."""
    parts = sorted(((name, part) for name, part in scores.items() if name != "total"), key=lambda pair: -abs(pair[1]))
    return ", ".join(f"{name} {part:.2f}" for name, part in parts[:most] if part)
