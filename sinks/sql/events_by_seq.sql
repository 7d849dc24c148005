SELECT id, seq, partition, "offset", occurred_at, event_type, author, session_id, content
FROM events WHERE anima_id = %(anima)s AND seq = ANY(%(seqs)s)
