-- What was made of one event: current revisions whose window holds it, the newest first.
SELECT m.generation, m.id, m.revision, m.anima_id, m.seq, m.summary, m.content, m.importance, m.confidence, m.state, m.started_at,
       m.ended_at, m.recorded_at, m.closed_at, m.model, m.prompt_name, m.prompt_hash, m.trigger, m.partition, m."offset", l.weight
FROM memory_events AS l
JOIN memories AS m ON m.generation = l.generation AND m.id = l.memory_id AND m.revision = l.revision
WHERE l.anima_id = %(anima)s AND l.event_seq = %(seq)s AND l.generation = %(generation)s AND m.closed_at IS NULL
ORDER BY m.seq DESC LIMIT %(limit)s OFFSET %(offset)s
