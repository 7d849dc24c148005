"""One conversation through every endpoint: what `examples/telemetry.jsonl` becomes under the key `wren`, shortened.

`EXAMPLES` has the bodies by the name of their schema; where one operation needs its own, by operation and status.
"""

from typing import Any

WREN = "190b19ae-6836-8c75-8279-82a48365145e"
QUESTION = "Which courier picks up small parcels?"
WEIGHTS = {"time_weight": 1.0, "event_weight": 0.5, "token_weight": 0.0003, "threshold": 6.0}
NEW_ANIMA = {"name": "Wren", "key": "wren", "description": "Runs the office of Tidewick Coffee."}
ANIMA = {
    "id": WREN, **NEW_ANIMA, "weights": WEIGHTS, "events": 400,
    "created_at": "2026-05-04T06:30:00Z", "updated_at": "2026-06-12T08:00:00Z",
}  # fmt: skip

SAID = {
    "event_type": "message.in", "author": "Ines", "session_id": "2026-05-15/courier",
    "content": "News: I've signed with Bluefinch Courier. They start on Monday the 18th, pick up at 16:45, and charge "
    "€4.20 up to two kilos instead of €4.95. Harrowline ends today.",
    "occurred_at": "2026-05-15T08:44:19Z", "dedupe_key": "t-0126",
}  # fmt: skip
CALLED = {
    "event_type": "tool.call", "author": "shipping", "session_id": "2026-05-15/courier",
    "content": '{"op":"set_carrier","carrier":"Bluefinch Courier","from":"2026-05-18","pickup":"16:45"}',
    "occurred_at": "2026-05-15T08:44:58Z", "dedupe_key": "t-0127",
}  # fmt: skip
AT = {"position": "elephantasm.events/1/125", "recorded_at": "2026-05-15T08:44:19Z"}
EVENT = {
    "kind": "event", "schema_version": 1, "anima_id": WREN, **SAID, "role": None, "meta": None, "source_uri": None,
    "importance_score": None, "id": "33c54d2c-6448-5c3e-b33c-9239d579415f", "seq": 125, **AT,
}  # fmt: skip

FIRED = {
    "id": "56f73d30-19b5-5707-83ae-9488b1daf938", "reason": "score", "score": 10.0, "threshold": 10.0,
    "fired_at": "2026-05-15T11:36:25.960000Z", "events": 14, "tokens": 438,
}  # fmt: skip
MADE = {
    "model": "extractive/sumbasic", "prompt_name": "synthesize.v1",
    "prompt_hash": "df54050f0dca289efa59619f8ee1858d72c3683006cef109909d94af63704e58", "generation": 1,
}  # fmt: skip
MEMORY = {
    "id": "bab1f083-011d-5bf2-b7b9-c0b2462dca26", "revision": 1, "anima_id": WREN, **MADE, "seq": 10,
    "trigger": {**FIRED, "anima_id": WREN, "partition": 1, "first_offset": 125, "last_offset": 138},
    "summary": "Ines: News: I've signed with Bluefinch Courier.",
    "content": "Ines: News: I've signed with Bluefinch Courier.\n"
    "Wren: The old claim HC-20931 stays alive with Harrowline even though the contract ends.",
    "importance": 0.79, "confidence": 0.61, "state": "ACTIVE",
    "started_at": "2026-05-15T08:44:19Z", "ended_at": "2026-05-15T09:36:11Z",
    "recorded_at": FIRED["fired_at"], "closed_at": None, "position": "elephantasm.g1.memories/1/10",
}  # fmt: skip
WEIGHT = {"weight": 0.13793103}
LINEAGE = {
    "kind": "memory", "id": MEMORY["id"], "anima_id": WREN, "revision": 1, "position": MEMORY["position"],
    "recorded_at": MEMORY["recorded_at"], "derived": [],
    "made": {
        **MADE, "trigger": {**FIRED, "first": "elephantasm.events/1/125", "last": "elephantasm.events/1/138"},
    },
    "sources": [{"event_id": EVENT["id"], "seq": 125, **AT, "occurred_at": SAID["occurred_at"], **WEIGHT}],
}  # fmt: skip

STATUS = {
    "anima_id": WREN, "score": 2.53, "threshold": 6.0,
    "factors": {
        "hours": {"amount": 1.0, "weight": 1.0, "contribution": 1.0},
        "events": {"amount": 3.0, "weight": 0.5, "contribution": 1.5},
        "tokens": {"amount": 100.0, "weight": 0.0003, "contribution": 0.03},
    },
    "window": {
        "first": "elephantasm.events/1/400", "last": "elephantasm.events/1/402", "since": "2026-06-12T11:00:00Z",
    },
    "fires_at": "2026-06-12T15:28:12Z", "due_windows": 0, "clock": "2026-06-12T12:00:00Z",
}  # fmt: skip

ASKED = {"anima_id": WREN, "query": QUESTION, "preset": "default", "max_tokens": 500}
SERVED = {
    "pack_id": "d82567a2f9c8f65d03b4525f52c59ef0ae6632503c519451556a12e1eb321d71", **ASKED, "generation": 1,
    "content": f"## Relevant Memories\n### 15 May 2026\n- Summary: {MEMORY['summary']}\n- Ines: {SAID['content']}",
    "token_count": 82,
}  # fmt: skip
PACK = {
    **SERVED, "now": "2026-06-12T12:00:00Z", "as_of": None,
    "items": [
        {
            "kind": "memory", "id": MEMORY["id"], "text": MEMORY["summary"], "reason": "high_importance",
            "scores": {"similarity": 0.35, "importance": 0.16, "confidence": 0.06, "total": 0.57},
            "lineage": {
                "positions": ["elephantasm.events/1/125", "elephantasm.events/1/138"], "events": 14, "revision": 1,
                "trigger": FIRED["id"], "model": MADE["model"], "prompt": MADE["prompt_name"],
                "prompt_hash": MADE["prompt_hash"],
            },
        },
        {
            "kind": "event", "id": EVENT["id"], "text": SAID["content"], "reason": "hybrid",
            "scores": {"words": 1.44, "nearby words": 3.02, "similarity": 1.2, "total": 5.66},
            "lineage": {"positions": ["elephantasm.events/1/125"]},
        },
    ],
}  # fmt: skip

STAGE = {"group": "elephantasm.g1.embed", "verdict": "OK", "lag": 12, "seconds": 0.4, "commit_age_s": 0.2}
LAG = {
    "total": 12, "window_s": 300.0, "complete": 1.0,
    "stages": {"embed": {**STAGE, "state": "Stable", "members": 1}},
    "partitions": [
        {**STAGE, "stage": "embed", "topic": "elephantasm.events", "partition": 1, "committed": 391, "end": 403},
    ],
}  # fmt: skip

UNREAD = {
    "id": "f01c691e-d3bb-507a-aaeb-1f4bedf38ede", "attempts": 1,
    "stage": "sink", "reason": "schema_version 2 is newer than 1, the newest that this release reads",
}  # fmt: skip
REDRIVEN = {
    "failed_at": "2026-06-12T12:00:01.017000Z", "state": "redriven", "decided_at": "2026-06-12T12:05:00Z",
    "decided_by": "local", "note": "elephantasm.events/1/404",
}  # fmt: skip
LETTER = {
    **UNREAD, **REDRIVEN, "topic": "elephantasm.events", "partition": 1, "offset": 403,
    "recorded_at": "2026-06-12T12:00:01Z", "key": "wren", "encoding": "utf-8", "bytes": 81,
    "value": '{"schema_version": 2, "event_type": "message.in", "content": "Bluefinch is late"}',
}  # fmt: skip
ATTEMPT = {"id": UNREAD["id"], "position": "elephantasm.events/1/403", "attempt": 1, "reason": UNREAD["reason"]}
SELECTION = {"stage": "sink", "reason": "schema_version"}
DECIDED = {**UNREAD, "source": "elephantasm.events/1/403"}

EXAMPLES: dict[str, Any] = {
    "Alive": {"status": "alive"},
    "Readiness": {"status": "ready", "missing": []},
    "health_ready 503": {"status": "not ready", "missing": ["Kafka cannot be reached"]},
    "Health": {"status": "ok", "missing": [], "generation": 1},
    "NewAnima": NEW_ANIMA,
    "AnimaChange": {"description": NEW_ANIMA["description"]},
    "Anima": ANIMA,
    "animas_create 201": {**ANIMA, "weights": None, "events": 0, "updated_at": ANIMA["created_at"]},
    "NewEvent": {"anima_id": WREN, **SAID},
    "StoredEvent": EVENT,
    "events_post 202": {**EVENT, "seq": None, "recorded_at": None},
    "Batch": {"anima_id": WREN, "events": [SAID, CALLED]},
    "Accepted": {"after": "elephantasm.events/1/126", "accepted": 2, "repeated": 0},
    "WeightedEvent": {**EVENT, **WEIGHT},
    "StoredMemory": MEMORY,
    "WeightedMemory": {**MEMORY, **WEIGHT},
    "FoundMemory": {**MEMORY, "score": 0.35},
    "Question": {"anima_id": WREN, "query": QUESTION, "limit": 10},
    "Lineage": LINEAGE,
    "Weights": WEIGHTS,
    "SynthesisConfig": {**WEIGHTS, "anima_id": WREN, "source": "own"},
    "synthesis_delete_config 200": {**WEIGHTS, "threshold": 10.0, "anima_id": WREN, "source": "default"},
    "SynthesisStatus": STATUS,
    "PackRequest": ASKED,
    "Pack": PACK,
    "ServedPack": {
        **SERVED, "recorded_at": "2026-06-12T12:00:00.200000Z", "position": "elephantasm.events/1/399",
        "items": [{"kind": "memory", "id": MEMORY["id"]}, {"kind": "event", "id": EVENT["id"]}],
    },
    "LagReport": LAG,
    "DeadLetters": {"total": 1, "items": [LETTER]},
    "DeadLetterWithHistory": {**LETTER, "key_base64": "d3Jlbg==", "history": [{**ATTEMPT, **REDRIVEN}]},
    "Selection": SELECTION,
    "Discard": {**SELECTION, "why": "a test of the producer"},
    "Decisions": {"matching": 1, "items": [{**DECIDED, "position": REDRIVEN["note"]}], "dry_run": False},
    "ops_discard 200": {"matching": 1, "items": [{**DECIDED, "position": None}], "dry_run": False},
}  # fmt: skip
