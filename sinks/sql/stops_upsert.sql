INSERT INTO stops (stage, records, failures, reason) VALUES (%s, %s, %s, %s)
ON CONFLICT (stage) DO UPDATE
SET records = excluded.records, failures = excluded.failures, reason = excluded.reason, stopped_at = now()
