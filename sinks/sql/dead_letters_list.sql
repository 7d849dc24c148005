-- The latest first, with the first bytes of each value. `keys`: those that the caller may see; null: all.
SELECT id, topic, partition, "offset", stage, reason, key, substring(value FOR %(most)s) AS value,
       octet_length(value) AS bytes, attempts, recorded_at, failed_at, state, decided_at, decided_by, note
FROM dead_letters
WHERE (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(stage)s::text IS NULL OR stage = %(stage)s)
  AND (%(topic)s::text IS NULL OR topic = %(topic)s)
  AND (%(reason)s::text IS NULL OR strpos(lower(reason), lower(%(reason)s)) > 0)
  AND (%(keys)s::bytea[] IS NULL OR key = ANY(%(keys)s))
ORDER BY failed_at DESC, topic, partition, "offset", stage LIMIT %(limit)s OFFSET %(offset)s
