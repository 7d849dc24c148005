SELECT count(*) AS total FROM dead_letters
WHERE (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(stage)s::text IS NULL OR stage = %(stage)s)
  AND (%(topic)s::text IS NULL OR topic = %(topic)s)
  AND (%(reason)s::text IS NULL OR strpos(lower(reason), lower(%(reason)s)) > 0)
  AND (%(keys)s::bytea[] IS NULL OR key = ANY(%(keys)s))
