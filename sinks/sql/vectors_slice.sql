-- Vectors of the layer `asked` from seq `vectors_since` on, as halfvec_send writes each, in the order of seq: a slice, so that neither server
-- nor client has to hold a large anima's in one piece.
SELECT string_agg(halfvec_send(v), ''::bytea ORDER BY seq) AS vectors, min(seq) AS vectors_first
FROM (
    SELECT v, seq FROM {vectors}
    WHERE anima_id = %(anima)s AND layer = asked.layer AND generation = asked.generation AND model = %(model)s
      AND seq >= asked.vectors_since
    ORDER BY seq LIMIT %(slice)s
) AS slice
