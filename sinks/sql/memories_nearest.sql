-- Exact search by meaning: every memory of the anima is compared. {vectors} is the table of the model's dimensions.
SELECT m.generation, m.id, m.revision, m.anima_id, m.seq, m.summary, m.content, m.importance, m.confidence, m.state, m.started_at,
       m.ended_at, m.recorded_at, m.closed_at, m.model, m.prompt_name, m.prompt_hash, m.trigger, m.partition, m."offset",
       -(found.v <#> %(vector)s::{halfvec}) AS score
FROM {vectors} AS found
JOIN memories AS m ON m.anima_id = found.anima_id AND m.generation = found.generation AND m.seq = found.seq
WHERE found.anima_id = %(anima)s AND found.layer = 1 AND found.generation = %(generation)s AND found.model = %(model)s
  AND m.closed_at IS NULL AND m.state <> 'ARCHIVED'
ORDER BY found.v <#> %(vector)s::{halfvec}, m.seq LIMIT %(limit)s
