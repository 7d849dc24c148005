"""What the OpenAPI document says about every endpoint alike: groups, and the errors with their meaning."""

from typing import Any

from pydantic import BaseModel

from api.examples import EXAMPLES

DESCRIPTION = """\
Writes go to the log and answer when Kafka has acknowledged them; reads come from Postgres, which follows the log by
milliseconds. A write answers with its `position`; a read with `after=<position>` waits until it can see that far.

Errors are `{"detail": …}`: a sentence, or a list of fields with the reason for each. 503 always says `Retry-After`.
"""

TAGS = [
    {"name": "health", "description": "Is the process alive; can it serve."},
    {"name": "animas", "description": "Whose memory this is."},
    {"name": "events", "description": "Telemetry in, and what was stored of it."},
    {"name": "memories", "description": "What was made of windows of events."},
    {"name": "lineage", "description": "Where an item comes from, and what was derived from it."},
    {"name": "synthesis", "description": "When an anima's events become a memory."},
    {"name": "packs", "description": "What an anima should remember, for the next prompt."},
    {"name": "ops", "description": "How far the stages are, and what they could not process."},
]


class Fault(BaseModel):
    field: str
    reason: str


class Faults(BaseModel):
    detail: str | list[Fault]


class Refusal(BaseModel):
    detail: str


_UNKNOWN = "anima 7f0c8a5e-53a1-4c6e-9d53-0a2b7f6f3b11 is not known; POST /api/animas creates one"
_TOO_LARGE = "the body exceeds 8,000,000 bytes (ELEPHANTASM_BODY_BYTES); send smaller batches"
_ERRORS: dict[int, tuple[type[BaseModel], str, Any]] = {
    400: (Refusal, "The body cannot be read.", "the body cannot be read: 'utf-8' codec can't decode byte 0xff"),
    403: (Refusal, "Not for this caller.", "this needs a caller who may see every anima"),
    404: (Refusal, "Not there, or not the caller's.", _UNKNOWN),
    409: (Refusal, "It exists already.", "an anima with the key 'wren' exists"),
    413: (Faults, "Larger than the server takes.", _TOO_LARGE),
    422: (Faults, "A field is wrong.", [{"field": "body.content", "reason": "is empty"}]),
    503: (
        Refusal,
        "Kafka, Postgres or the embedding provider is away, or the view has not caught up.",
        "Postgres cannot be reached",
    ),
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint that may answer with these errors."""
    return {status: _entry(status) for status in statuses}


def _entry(status: int) -> dict[str, Any]:
    model, description, example = _ERRORS[status]
    entry: dict[str, Any] = {
        "model": model,
        "description": description,
        "content": {"application/json": {"example": {"detail": example}}},
    }
    return entry | {"headers": _RETRY_AFTER} if status == 503 else entry


def with_examples(document: dict[str, Any]) -> dict[str, Any]:
    """The document, in which every JSON body has its example. Raises KeyError for one without."""
    for operation in (one for methods in document["paths"].values() for one in methods.values()):
        for name, body in {"request": operation.get("requestBody", {}), **operation["responses"]}.items():
            content = body.get("content", {}).get("application/json")
            if content and "example" not in content:
                own = EXAMPLES.get(f"{operation['operationId']} {name}")
                content["example"] = own or _of_schema(content["schema"])
    return document


def _of_schema(schema: dict[str, Any]) -> Any:
    return [_of_schema(schema["items"])] if "items" in schema else EXAMPLES[schema["$ref"].rsplit("/", 1)[-1]]
