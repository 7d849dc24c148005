-- Compare-and-set of several partitions: a row that stands elsewhere than expected is not touched and not counted.
WITH move AS (
    SELECT %s::text AS stage, *
    FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[]) AS m (topic, partition, expected, reached)
)
MERGE INTO progress AS p USING move AS m
ON p.stage = m.stage AND p.topic = m.topic AND p.partition = m.partition
WHEN MATCHED AND p.next_offset = m.expected THEN
    UPDATE SET next_offset = m.reached, updated_at = now()
WHEN NOT MATCHED AND m.expected = 0 THEN
    INSERT (stage, topic, partition, next_offset) VALUES (m.stage, m.topic, m.partition, m.reached)
