-- Text is what is indexed and embedded: an event's content, a memory's summary.
SELECT anima_id, 0 AS layer, 0 AS generation, seq, content AS text, author, session_id, occurred_at
FROM events WHERE id = ANY(%s)
UNION ALL
SELECT anima_id, 1, generation, seq, summary, NULL, NULL, ended_at
FROM memories JOIN unnest(%s::uuid[], %s::int[]) AS revised (id, revision) USING (id, revision) WHERE generation = %s
ORDER BY anima_id, layer, generation, seq
