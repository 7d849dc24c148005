-- The first offset and last seq of what a trigger covers, from a seq on. Offsets grow with seq: reading ends at the first event behind
-- the trigger, however many have come since.
SELECT first."offset" AS first_offset,
       coalesce((SELECT seq FROM events WHERE anima_id = %(anima)s AND seq > %(first_seq)s AND "offset" > %(last_offset)s
                 ORDER BY seq LIMIT 1),
                (SELECT events FROM animas WHERE id = %(anima)s)) - 1 AS last_seq
FROM events AS first WHERE anima_id = %(anima)s AND seq = %(first_seq)s AND "offset" <= %(last_offset)s
