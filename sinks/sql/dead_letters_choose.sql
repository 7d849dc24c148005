-- Open letters, in the order in which their records were first in the log; and how many there are.
SELECT id, topic, partition, "offset", stage, reason, key, value, recorded_at, attempts, first_partition, first_offset,
       count(*) OVER () AS matching
FROM dead_letters
WHERE state = 'open'
  AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s))
  AND (%(stage)s::text IS NULL OR stage = %(stage)s)
  AND (%(topic)s::text IS NULL OR topic = %(topic)s)
  AND (%(reason)s::text IS NULL OR strpos(lower(reason), lower(%(reason)s)) > 0)
  AND (%(failed_before)s::timestamptz IS NULL OR failed_at < %(failed_before)s)
  AND (%(most)s::int IS NULL OR (octet_length(value) <= %(most)s AND topic = ANY(%(topics)s)
                                 AND partition < %(partitions)s))
ORDER BY topic, first_partition, first_offset, attempts, "offset" LIMIT %(limit)s
