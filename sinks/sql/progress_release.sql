-- Ends the sessions of workers that froze in a COPY, or before they had read a result. They hold their locks, and while a statement waits
-- for its client no time-out of PostgreSQL ends it. A worker that lives and is ended by mistake loses one transaction, which it repeats.
SELECT pg_terminate_backend(frozen.pid)
FROM pg_stat_activity AS frozen
WHERE frozen.datname = current_database()
  AND frozen.usename = current_user
  AND frozen.state = 'active'
  AND frozen.wait_event IN ('ClientRead', 'ClientWrite')
  AND frozen.query_start < now() - interval '6s'
  AND EXISTS (SELECT FROM pg_locks AS held
              WHERE held.pid = frozen.pid AND held.relation = 'progress'::regclass AND held.mode = 'RowExclusiveLock')
