-- Gives the turn of a call to whoever comes next.
SELECT pg_advisory_unlock(%(key)s::bigint)
