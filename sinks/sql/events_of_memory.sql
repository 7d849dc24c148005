-- The events that one revision rests on, in log order.
SELECT e.id, e.anima_id, e.seq, e.partition, e."offset", e.recorded_at, e.occurred_at, e.event_type, e.content, e.role,
       e.author, e.session_id, e.meta, e.source_uri, e.dedupe_key, e.importance_score, l.weight
FROM memory_events AS l
JOIN events AS e ON e.anima_id = l.anima_id AND e.seq = l.event_seq
WHERE l.generation = %(generation)s AND l.memory_id = %(id)s AND l.revision = %(revision)s
ORDER BY e.seq LIMIT %(limit)s OFFSET %(offset)s
