-- Events that no window of this generation has claimed yet, in log order.
SELECT "offset", recorded_at, content FROM events
WHERE anima_id = %(anima)s
  AND seq > coalesce((SELECT last_seq FROM windows WHERE generation = %(generation)s AND anima_id = %(anima)s
                        ORDER BY last_offset DESC LIMIT 1), -1)
ORDER BY seq LIMIT %(most)s
