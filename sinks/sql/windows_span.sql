-- The first offset and last seq of what a trigger covers.
SELECT min("offset") AS first_offset, max(seq) AS last_seq FROM events
WHERE anima_id = %s AND seq >= %s AND "offset" <= %s
