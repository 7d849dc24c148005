-- A revision ends when the next one was known.
UPDATE memories AS old SET closed_at = next.recorded_at
FROM memories AS next, unnest(%s::int[], %s::uuid[]) AS touched (generation, id)
WHERE old.generation = touched.generation AND old.id = touched.id AND old.closed_at IS NULL
  AND next.generation = old.generation AND next.id = old.id AND next.revision = old.revision + 1
