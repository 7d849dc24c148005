-- Events that no window of this generation has claimed yet, in log order.
SELECT "offset", recorded_at, content FROM events
WHERE anima_id = %(anima)s
  AND seq > coalesce((SELECT max(last_seq) FROM windows WHERE generation = %(generation)s AND anima_id = %(anima)s), -1)
ORDER BY seq LIMIT %(most)s
