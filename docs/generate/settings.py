"""settings.md: every setting, from stack/settings.py."""

from typing import Any

from docs.generate.markdown import NOTE, lines, table
from stack.settings import Settings

Schema = dict[str, Any]


def settings() -> str:
    schema = Settings.model_json_schema()
    rows = [_setting(name, described, schema["$defs"]) for name, described in schema["properties"].items()]
    return lines(
        "# Settings",
        "",
        f"<!-- {NOTE} -->",
        "",
        "Environment variables, or the same names in a file `.env` in the working directory. A wrong value stops the",
        "process with a line that names the variable, the value and what is allowed.",
        "",
        *table(("variable", "default", "allowed", "what it does"), rows),
    )


def _setting(name: str, described: Schema, types: Schema) -> tuple[str, ...]:
    default = described.get("default")
    return (
        f"`ELEPHANTASM_{name.upper()}`",
        "unset" if default is None else f"`{_literal(default)}`",
        _allowed(_resolved(described, types)),
        described["description"],
    )


def _literal(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _resolved(described: Schema, types: Schema) -> Schema:
    """The schema of the value: behind a reference, and without the `null` of an optional one."""
    if "$ref" in described:
        return _resolved(types[described["$ref"].rsplit("/", 1)[-1]], types)
    if "anyOf" in described:
        return _resolved(next(choice for choice in described["anyOf"] if choice.get("type") != "null"), types)
    return described


def _allowed(value: Schema) -> str:
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if value["type"] in ("integer", "number"):
        return _range(value)
    if "pattern" in value:
        return f"`{value['pattern']}`"
    if value["type"] == "boolean":
        return "`true`, `false`"
    return {"path": "path", "password": "text, kept out of logs"}.get(value.get("format", ""), "text")


def _range(value: Schema) -> str:
    low = f"{value['minimum']:,} or more" if "minimum" in value else ""
    if "exclusiveMinimum" in value:
        low = f"more than {value['exclusiveMinimum']:,}"
    if "maximum" not in value:
        return low
    if "minimum" in value:
        return f"{value['minimum']:,} to {value['maximum']:,}"
    return f"{low}, at most {value['maximum']:,}"
