SELECT *, octet_length(value) AS bytes FROM dead_letters
WHERE id = %(id)s AND (%(keys)s::bytea[] IS NULL OR key = ANY(%(keys)s))
