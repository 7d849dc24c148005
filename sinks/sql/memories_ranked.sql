-- Of the revisions with these seqs, best first, those that hold now.
SELECT m.generation, m.id, m.revision, m.anima_id, m.seq, m.summary, m.content, m.importance, m.confidence, m.state, m.started_at,
       m.ended_at, m.recorded_at, m.closed_at, m.model, m.prompt_name, m.prompt_hash, m.trigger, m.partition, m."offset", found.score
FROM unnest(%(seqs)s::int[], %(scores)s::real[]) WITH ORDINALITY AS found (seq, score, place)
JOIN memories AS m ON m.anima_id = %(anima)s AND m.generation = %(generation)s AND m.seq = found.seq
WHERE m.closed_at IS NULL AND m.state <> 'ARCHIVED'
ORDER BY found.place LIMIT %(limit)s OFFSET %(offset)s
