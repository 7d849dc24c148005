SELECT generation, anima_id, last.seq + 1 AS next_seq
FROM unnest(%s::int[], %s::uuid[]) AS asked (generation, anima_id)
CROSS JOIN LATERAL (
    SELECT seq FROM memories AS m WHERE m.anima_id = asked.anima_id AND m.generation = asked.generation
    ORDER BY seq DESC LIMIT 1
) AS last
