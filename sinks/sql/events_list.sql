SELECT id, anima_id, seq, partition, "offset", recorded_at, occurred_at, event_type, content, role, author, session_id, meta,
       source_uri, dedupe_key, importance_score
FROM events
WHERE anima_id = %(anima)s
  AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
  AND (%(session_id)s::text IS NULL OR session_id = %(session_id)s)
  AND (%(min_importance)s::real IS NULL OR importance_score >= %(min_importance)s)
ORDER BY seq DESC LIMIT %(limit)s OFFSET %(offset)s
