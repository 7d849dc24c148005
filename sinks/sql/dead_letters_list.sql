-- The latest first, with the first bytes of each value. `keys`: those that the caller may see; null: all.
SELECT topic, partition, "offset", stage, reason, key, substring(value FOR %(most)s) AS value, octet_length(value) AS bytes,
       attempts, recorded_at
FROM dead_letters
WHERE (%(stage)s::text IS NULL OR stage = %(stage)s) AND (%(keys)s::bytea[] IS NULL OR key = ANY(%(keys)s))
ORDER BY recorded_at DESC, topic, partition, "offset", stage LIMIT %(limit)s OFFSET %(offset)s
