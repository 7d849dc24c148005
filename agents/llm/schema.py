"""The JSON Schema of a reply in the subset that both providers accept for structured output.

Each client library converts schemas for its own API only, and OpenAI's keeps bounds on strings, which OpenAI refuses.
"""

import json
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_KEPT = frozenset({"type", "enum", "const", "$ref", "description"})
_BOUNDS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
)


def strict_schema(reply_type: type[BaseModel]) -> Schema:
    """Every property required, none besides; bounds go into the descriptions and are checked when the reply is read."""
    return _strict(reply_type.model_json_schema())


def told_schema(reply_type: type[BaseModel]) -> str:
    """The schema as a paragraph of a system prompt, for servers that may not enforce it."""
    schema = json.dumps(strict_schema(reply_type))
    return f"\nReply with one JSON object, and nothing else, that fits this schema:\n{schema}\n"


def _strict(schema: Schema) -> Schema:
    strict: Schema = {key: value for key, value in schema.items() if key in _KEPT}
    told = ", ".join(f"{bound} {schema[bound]}" for bound in _BOUNDS if bound in schema)
    if told:
        strict["description"] = f"{strict.get('description', '')} ({told})".strip()
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            strict["anyOf" if key == "oneOf" else key] = [_strict(option) for option in schema[key]]
    for key in ("properties", "$defs"):
        if key in schema:
            strict[key] = {name: _strict(part) for name, part in schema[key].items()}
    if "items" in schema:
        strict["items"] = _strict(schema["items"])
    if schema.get("type") == "object":
        strict |= {"required": list(schema.get("properties", {})), "additionalProperties": False}
    return strict
