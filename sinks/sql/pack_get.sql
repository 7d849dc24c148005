SELECT id AS pack_id, anima_id, generation, recorded_at, query, preset, max_tokens, token_count, content, items, partition, "offset"
FROM packs
WHERE id = %(id)s AND (%(scope)s::uuid[] IS NULL OR anima_id = ANY(%(scope)s))
ORDER BY "offset" DESC LIMIT 1
