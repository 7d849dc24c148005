SELECT slice.* FROM (VALUES (%(layer)s::smallint, %(generation)s::smallint, %(since)s::int)) AS asked (layer, generation, vectors_since)
CROSS JOIN LATERAL ({vectors_slice}) AS slice
