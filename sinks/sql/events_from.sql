SELECT anima_id, 0 AS layer, 0 AS generation, seq, content AS text, author, session_id, occurred_at
FROM events WHERE anima_id = %s AND seq >= %s ORDER BY seq LIMIT %s
