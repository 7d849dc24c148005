-- The current revision.
SELECT m.generation, m.id, m.revision, m.anima_id, m.seq, m.summary, m.content, m.importance, m.confidence, m.state, m.started_at,
       m.ended_at, m.recorded_at, m.closed_at, m.model, m.prompt_name, m.prompt_hash, m.trigger, m.partition, m."offset"
FROM memories AS m
WHERE m.generation = %(generation)s AND m.id = %(id)s AND m.closed_at IS NULL
