-- What follows on the last document of each layer asked for: the end of an index, however long the layer.
SELECT anima_id, layer, generation, last.seq + 1 AS next_seq
FROM unnest(%s::uuid[], %s::smallint[], %s::smallint[]) AS asked (anima_id, layer, generation)
CROSS JOIN LATERAL (
    SELECT seq FROM documents AS d
    WHERE d.anima_id = asked.anima_id AND d.layer = asked.layer AND d.generation = asked.generation
    ORDER BY seq DESC LIMIT 1
) AS last
