SELECT id, anima_id, seq, partition, "offset", recorded_at, occurred_at, event_type, content,
       role, author, session_id, meta, source_uri, dedupe_key, importance_score
FROM events WHERE id = %s
