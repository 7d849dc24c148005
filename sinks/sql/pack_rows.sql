-- What the lines of a pack are drawn from: events and memory revisions of one anima by seq, without what only the other kind has.
SELECT 'event' AS kind, seq, id, occurred_at AS at, partition, "offset", content AS text, event_type, author, NULL::real AS importance,
       NULL::int AS events, NULL::int AS revision, NULL AS model, NULL AS prompt_name, NULL AS prompt_hash, NULL::jsonb AS trigger
FROM events WHERE anima_id = %(anima)s AND seq = ANY(%(events)s)
UNION ALL
SELECT 'memory', seq, id, started_at, partition, "offset", summary, NULL, NULL, importance,
       last_seq - first_seq + 1, revision, model, prompt_name, prompt_hash, trigger
FROM memories WHERE anima_id = %(anima)s AND generation = %(generation)s AND seq = ANY(%(memories)s)
