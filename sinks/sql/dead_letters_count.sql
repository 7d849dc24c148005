SELECT count(*) AS total FROM dead_letters
WHERE (%(stage)s::text IS NULL OR stage = %(stage)s) AND (%(keys)s::bytea[] IS NULL OR key = ANY(%(keys)s))
