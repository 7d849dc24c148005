SELECT id AS pack_id, anima_id, generation, recorded_at, query, preset, max_tokens, token_count, content, items, partition, "offset"
FROM packs
WHERE anima_id = %(anima)s
  AND (%(query)s::text IS NULL OR query = %(query)s)
  AND (%(preset)s::text IS NULL OR preset = %(preset)s)
ORDER BY "offset" DESC LIMIT %(limit)s OFFSET %(offset)s
