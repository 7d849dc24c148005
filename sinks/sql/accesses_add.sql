INSERT INTO accesses AS a (generation, memory_id, anima_id, accesses, accessed_at)
SELECT * FROM unnest(%s::int[], %s::uuid[], %s::uuid[], %s::int[], %s::timestamptz[])
ON CONFLICT (generation, memory_id) DO UPDATE SET
    accesses = a.accesses + excluded.accesses, accessed_at = greatest(a.accessed_at, excluded.accessed_at)
