-- Whether this session now has the turn of a call. It has it until it ends it or ends itself.
SELECT pg_try_advisory_lock(%(key)s::bigint)
