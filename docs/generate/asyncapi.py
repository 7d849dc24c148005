"""asyncapi.yaml: the topics' contract, from the record classes of streams/records.py."""

from collections.abc import Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic.json_schema import models_json_schema

from docs.generate.defaults import DEFAULTS, TOPICS
from docs.generate.markdown import NOTE
from docs.generate.topology import node
from streams.dead_letters import Verdict
from streams.positions import KEY_CHARACTERS
from streams.records import Record, Tick
from streams.topics import Topic, Topics
from streams.topology import STAGES

Schema = dict[str, Any]


def asyncapi_text() -> str:
    written: str = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    return f"# {NOTE}\n{written}"


def asyncapi() -> Schema:
    """AsyncAPI 3.0. The application it speaks of is the pipeline: it sends and receives as its stages do."""
    channels = _channels(TOPICS)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Elephantasm Streams",
            "version": "0.1.0",
            "description": (
                "The topics, named as under the default prefix and generation. A producer needs only the first: "
                'key = anima, value = `{"event_type": "message.in", "content": "…"}`, partitioner murmur2.'
            ),
        },
        "defaultContentType": "application/json",
        "servers": {
            "embedded": {
                "host": f"127.0.0.1:{DEFAULTS.kafka_port}",
                "protocol": "kafka",
                "description": "The broker that `make up` starts.",
            }
        },
        "channels": {name: _channel(topic) for name, topic in channels.items()},
        "operations": _operations(channels),
        "components": {"messages": _messages(channels), "schemas": _schemas(channels)},
    }


def _channels(of: Topics) -> dict[str, Topic]:
    """Every topic but the changelogs, which are nobody else's business."""
    return {node(topic): topic for topic in of.all() if not topic.name.endswith("-changelog")}


def _channel(topic: Topic) -> Schema:
    config: Schema = {"cleanup.policy": [topic.config["cleanup.policy"]]}
    config |= {key: int(value) for key, value in topic.config.items() if key.startswith("retention.")}
    return {
        "address": topic.name,
        "description": topic.about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _message_names(topic)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": DEFAULTS.partitions,
                "replicas": DEFAULTS.replication,
                "topicConfiguration": config,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message_names(topic: Topic) -> list[str]:
    return [value.__name__ for value in topic.values] or ["DeadLetter", "Decision"]


def _operations(channels: Mapping[str, Topic]) -> Schema:
    names = {topic.name: channel for channel, topic in channels.items()}
    found: Schema = {}
    for stage in STAGES:
        for action, used in (("receive", stage.reads(TOPICS)), ("send", stage.writes(TOPICS))):
            for topic in used:
                if channel := names.get(topic.name):
                    title = f"{stage.name}_{action}s_{channel}"
                    found[title] = _operation(action, channel, f"{stage.name}: {stage.about}")
    found["api_sends_events"] = _operation("send", "events", "api: what a request adds to an anima's memory")
    return found


def _operation(action: str, channel: str, summary: str) -> Schema:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _messages(channels: Mapping[str, Topic]) -> Schema:
    messages = {
        value.__name__: _message(value, TEXT_KEY if topic is TOPICS.events else ANIMA_KEY)
        for topic in channels.values()
        for value in topic.values
    }
    return messages | {"DeadLetter": DEAD_LETTER, "Decision": DECISION}


def _message(value: type[Record], key: Schema) -> Schema:
    message: Schema = {
        "name": value.__name__,
        "summary": (value.__doc__ or "").strip(),
        "headers": {"$ref": "#/components/schemas/Redriven"},
        "payload": {"$ref": f"#/components/schemas/{value.__name__}"},
    }
    if value is not Tick:
        message["bindings"] = {"kafka": {"key": key, "bindingVersion": "0.5.0"}}
    return message


def _schemas(channels: Mapping[str, Topic]) -> Schema:
    values = {value: None for topic in channels.values() for value in topic.values}
    _, schemas = models_json_schema([(v, "validation") for v in values], ref_template="#/components/schemas/{model}")
    return {**schemas["$defs"], "Redriven": REDRIVEN}


TEXT_KEY: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": KEY_CHARACTERS,
    "description": "The anima: any text that names it, or its UUID in lower case. Decides the partition by murmur2.",
    "examples": ["wren"],
}
ANIMA_KEY: Schema = {
    "type": "string",
    "format": "uuid",
    "description": "The anima's id. The record stands in the partition of the anima's events.",
}
_POSITION = "topic/partition/offset of the record that could not be processed."
DEAD_LETTER: Schema = {
    "name": "DeadLetter",
    "summary": "A record that could not be processed, with its original key and bytes, in the partition it stood in.",
    "contentType": "application/octet-stream",
    "headers": {
        "type": "object",
        "required": ["source", "stage", "reason", "timestamp", "attempts"],
        "properties": {
            "source": {"type": "string", "description": _POSITION, "examples": ["elephantasm.events/3/1042"]},
            "stage": {"type": "string", "enum": [stage.name for stage in STAGES], "description": "Who gave up."},
            "reason": {"type": "string", "maxLength": 2000, "description": "Why, for people."},
            "timestamp": {
                "type": "string",
                "pattern": "^-?[0-9]+$",
                "description": "The record's own, in ms since 1970.",
            },
            "attempts": {"type": "string", "pattern": "^[0-9]+$", "description": "How often it was tried."},
            "first": {"type": "string", "description": "Where it stood at its first try, if this was not it."},
        },
    },
    "payload": {"description": "The original bytes, whatever they are."},
}
DECISION: Schema = {
    "name": "Decision",
    "summary": "What was decided about a dead letter; stands behind it, in the same partition. The first one counts.",
    "contentType": "application/octet-stream",
    "headers": {
        "type": "object",
        "required": ["decision", "source", "stage", "by", "note"],
        "properties": {
            "decision": {"type": "string", "enum": [verdict.value for verdict in Verdict]},
            "source": {"type": "string", "description": "The letter's.", "examples": ["elephantasm.events/3/1042"]},
            "stage": {"type": "string", "description": "The letter's."},
            "by": {"type": "string", "description": "Who decided."},
            "note": {"type": "string", "description": "Where the redriven record stands; or why it was discarded."},
        },
    },
    "payload": {"description": "Empty."},
}
REDRIVEN: Schema = {
    "type": "object",
    "description": "Only on a redriven record: the bytes of a dead letter, sent again.",
    "properties": {
        "redrive-of": {"type": "string", "description": "Where the record stood at its first try; names its event."},
        "attempts": {"type": "string", "pattern": "^[0-9]+$", "description": "Which try this is."},
    },
}
