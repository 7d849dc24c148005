-- Current revisions, the newest first. Archived memories only on request.
SELECT m.generation, m.id, m.revision, m.anima_id, m.seq, m.summary, m.content, m.importance, m.confidence, m.state, m.started_at,
       m.ended_at, m.recorded_at, m.closed_at, m.model, m.prompt_name, m.prompt_hash, m.trigger, m.partition, m."offset"
FROM memories AS m
WHERE m.anima_id = %(anima)s AND m.generation = %(generation)s AND m.closed_at IS NULL
  AND CASE WHEN %(state)s::text IS NULL THEN m.state <> 'ARCHIVED' ELSE m.state = %(state)s END
ORDER BY m.seq DESC LIMIT %(limit)s OFFSET %(offset)s
