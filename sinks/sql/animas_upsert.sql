INSERT INTO animas (id, key, partition, name, description, weights, events, created_at, updated_at)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::text[], %s::text[], %s::jsonb[], %s::int[],
                     %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, description = excluded.description, weights = excluded.weights, events = excluded.events,
    updated_at = excluded.updated_at
