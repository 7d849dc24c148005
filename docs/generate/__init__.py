"""The generated documents: what they contain is said once, in code. `python -m docs.generate [--check]`

settings.md     every setting, from stack/settings.py
topology.md     the stages and topics, from streams/topology.py and streams/topics.py
asyncapi.yaml   the topics' contract, from the record classes of streams/records.py
openapi.json    the HTTP contract, from the routes of api/
"""

import json
import sys
from pathlib import Path

from api.app import create_app
from docs.generate.asyncapi import asyncapi_text
from docs.generate.defaults import DEFAULTS
from docs.generate.settings import settings
from docs.generate.topology import topology

FOLDER = Path(__file__).parents[1]


def documents() -> dict[str, str]:
    """Name and text of every generated document."""
    return {
        "settings.md": settings(),
        "topology.md": topology(),
        "asyncapi.yaml": asyncapi_text(),
        "openapi.json": openapi(),
    }


def openapi() -> str:
    return json.dumps(create_app(DEFAULTS).openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def differing() -> list[str]:
    """The documents that are not as the code says."""
    written = {path.name: path.read_text() for path in FOLDER.iterdir() if path.is_file()}
    return [name for name, text in documents().items() if written.get(name) != text]


def main(arguments: list[str]) -> int:
    stale = differing()
    if arguments == ["--check"]:
        for name in stale:
            print(f"docs/{name} is not up to date; run python -m docs.generate")
        return 1 if stale else 0
    if arguments:
        print("usage: python -m docs.generate [--check]", file=sys.stderr)
        return 2
    made = documents()
    for name in stale:
        (FOLDER / name).write_text(made[name])
        print(f"docs/{name}")
    return 0
