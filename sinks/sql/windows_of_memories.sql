-- Claims as the memories on their topic tell them; known ones stay as they are.
INSERT INTO windows (generation, anima_id, partition, first_offset, last_offset, first_seq, last_seq, trigger_id)
SELECT * FROM unnest(%s::int[], %s::uuid[], %s::int[], %s::bigint[], %s::bigint[], %s::int[], %s::int[], %s::uuid[])
ON CONFLICT DO NOTHING
