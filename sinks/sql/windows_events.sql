SELECT id, seq, occurred_at, event_type, author, session_id, content FROM events
WHERE anima_id = %s AND seq BETWEEN %s AND %s ORDER BY seq
