"""Everything that Postgres holds of a run, as the auditor compares it."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row, tuple_row

from sinks.database import dsn
from stack.settings import Settings

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Stored:
    events: Rows
    animas: Rows
    letters: Rows
    windows: Rows
    memories: Rows
    links: Rows
    documents: set[tuple[Any, ...]]
    vectors: list[tuple[Any, ...]]
    packs: Rows
    calls: Rows
    dangling: dict[str, int]


QUERIES = {
    "events": 'SELECT id, anima_id, seq, partition, "offset", content, recorded_at FROM events',
    "animas": "SELECT id, name, events FROM animas",
    "letters": 'SELECT topic, partition, "offset", stage, key, value, recorded_at FROM dead_letters',
    "windows": "SELECT * FROM windows WHERE generation = 1",
    "memories": "SELECT * FROM memories WHERE generation = 1",
    "links": "SELECT memory_id, array_agg(event_seq ORDER BY event_seq) AS seqs, sum(weight)::float AS weight "
    "FROM memory_events WHERE generation = 1 GROUP BY memory_id",
    "packs": 'SELECT partition, "offset" FROM packs',
    "calls": "SELECT call_id, request->'input' AS input, input_tokens, recorded_at FROM llm_calls "
    "WHERE reply IS NOT NULL",
}
# Each counts rows that point to a row that is not there.
DANGLING = {
    "events of no anima": "SELECT count(*) FROM events e LEFT JOIN animas a ON a.id = anima_id WHERE a.id IS NULL",
    "windows of no anima": "SELECT count(*) FROM windows w LEFT JOIN animas a ON a.id = anima_id WHERE a.id IS NULL",
    "memories of no anima": "SELECT count(*) FROM memories m LEFT JOIN animas a ON a.id = anima_id WHERE a.id IS NULL",
    "packs of no anima": "SELECT count(*) FROM packs p LEFT JOIN animas a ON a.id = anima_id WHERE a.id IS NULL",
    "links to no event": "SELECT count(*) FROM memory_events m LEFT JOIN events e ON e.anima_id = m.anima_id "
    "AND e.seq = m.event_seq WHERE e.id IS NULL",
    "links of no memory": "SELECT count(*) FROM memory_events l LEFT JOIN memories m "
    "ON (m.generation, m.id, m.revision) = (l.generation, l.memory_id, l.revision) WHERE m.id IS NULL",
    "windows without a memory": "SELECT count(*) FROM windows w LEFT JOIN memories m ON m.generation = w.generation "
    "AND m.anima_id = w.anima_id AND m.last_seq = w.last_seq WHERE m.id IS NULL",
    "words of nothing": "SELECT count(*) FROM documents d LEFT JOIN events e ON d.layer = 0 "
    "AND e.anima_id = d.anima_id AND e.seq = d.seq LEFT JOIN memories m ON d.layer = 1 "
    "AND m.anima_id = d.anima_id AND m.seq = d.seq "
    "WHERE e.id IS NULL AND m.id IS NULL",
    "vectors of nothing": "SELECT count(*) FROM vectors_1536 d LEFT JOIN events e ON d.layer = 0 "
    "AND e.anima_id = d.anima_id AND e.seq = d.seq LEFT JOIN memories m ON d.layer = 1 AND m.anima_id = d.anima_id "
    "AND m.seq = d.seq WHERE e.id IS NULL AND m.id IS NULL",
    "items of packs that are nothing": "SELECT count(*) FROM packs p CROSS JOIN LATERAL "
    "jsonb_to_recordset(p.items) AS i (kind text, id uuid) LEFT JOIN events e ON i.kind = 'event' "
    "AND (e.id, e.anima_id) = (i.id, p.anima_id) LEFT JOIN memories m ON i.kind = 'memory' "
    "AND (m.generation, m.id, m.anima_id) = (p.generation, i.id, p.anima_id) WHERE e.id IS NULL AND m.id IS NULL",
    "accesses of no memory": "SELECT count(*) FROM accesses a LEFT JOIN memories m ON (m.generation, m.id) = "
    "(a.generation, a.memory_id) WHERE m.id IS NULL",
}


async def stored(settings: Settings) -> Stored:
    async with await psycopg.AsyncConnection.connect(dsn(settings), row_factory=dict_row) as connection:
        found: dict[str, Any] = {
            name: await (await connection.execute(query.encode())).fetchall() for name, query in QUERIES.items()
        }
        cursor = connection.cursor(row_factory=tuple_row)
        await cursor.execute("SELECT anima_id, layer, seq FROM documents")
        found["documents"] = set(await cursor.fetchall())
        await cursor.execute("SELECT anima_id, layer, seq FROM vectors_1536")
        found["vectors"] = await cursor.fetchall()
        found["dangling"] = {}
        for name, query in DANGLING.items():
            [count] = await (await cursor.execute(query.encode())).fetchall()
            found["dangling"][name] = count[0]
    return Stored(**found)
