-- Compare-and-set of several partitions: a row that stands elsewhere than expected is not moved and not counted.
-- Rows are locked in the order in which they are fed, so that two workers cannot deadlock.
WITH move AS (
    SELECT %s::text AS stage, *
    FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[]) AS m (topic, partition, expected, reached)
)
INSERT INTO progress AS p (stage, topic, partition, next_offset)
SELECT m.stage, m.topic, m.partition, m.reached
FROM move AS m
WHERE m.expected = 0
   OR EXISTS (SELECT FROM progress AS q WHERE (q.stage, q.topic, q.partition) = (m.stage, m.topic, m.partition))
ORDER BY m.topic, m.partition
ON CONFLICT (stage, topic, partition) DO UPDATE SET next_offset = excluded.next_offset, updated_at = now()
    WHERE p.next_offset = (SELECT m.expected FROM move AS m WHERE (m.topic, m.partition) = (p.topic, p.partition))
