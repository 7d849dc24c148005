-- All that ranking needs to know of some layers of one anima, complete, as packed arrays in the order of seq: one row per layer.
-- Parameters: anima, layers, generations, since, until, model, vector, buckets; {vectors} is the table of the model's dimensions. Of a layer
-- whose `since` is null the similarities are computed here; of the others a slice of the vectors is read, from that seq on and
-- before `until`.
SELECT nearest.*, unheld.*, packed.*, found.*, recent.*
FROM unnest(%(layers)s::smallint[], %(generations)s::smallint[], %(since)s::int[], %(until)s::int[])
     WITH ORDINALITY AS asked (layer, generation, since, until, place)
CROSS JOIN LATERAL (
    -- The operator gives the negative inner product. The question's vector is converted once, not for every row.
    SELECT string_agg(float4send((v <#> (SELECT %(vector)s::{halfvec}))::real), ''::bytea ORDER BY seq) AS dissimilarity,
           coalesce(min(seq), 0) AS similarity_first
    FROM {vectors}
    WHERE anima_id = %(anima)s AND layer = asked.layer AND generation = asked.generation AND model = %(model)s
      AND asked.since IS NULL
) AS nearest
CROSS JOIN LATERAL ({unheld}) AS unheld
CROSS JOIN LATERAL (
    SELECT string_agg(columns, ''::bytea ORDER BY chunk) AS columns
    FROM chunks WHERE anima_id = %(anima)s AND layer = asked.layer AND generation = asked.generation
) AS packed
CROSS JOIN LATERAL (
    SELECT string_agg(entries, ''::bytea ORDER BY bucket, chunk) AS entries,
           string_agg(int4send(chunk) || int4send(octet_length(entries)), ''::bytea ORDER BY bucket, chunk) AS spans
    FROM postings
    WHERE anima_id = %(anima)s AND layer = asked.layer AND generation = asked.generation AND bucket = ANY(%(buckets)s)
) AS found
CROSS JOIN LATERAL (
    SELECT string_agg(terms, ''::bytea ORDER BY seq) AS terms,
           string_agg(int4send(octet_length(terms) / 4), ''::bytea ORDER BY seq) AS recent_lengths,
           string_agg(int4send(session), ''::bytea ORDER BY seq) AS recent_sessions,
           string_agg(int4send(author), ''::bytea ORDER BY seq) AS recent_authors,
           string_agg(int4send(occurred), ''::bytea ORDER BY seq) AS recent_occurred
    FROM documents
    WHERE anima_id = %(anima)s AND layer = asked.layer AND generation = asked.generation
      AND seq >= (SELECT coalesce(max(chunk) + 1, 0) * 1024 FROM chunks
                  WHERE anima_id = %(anima)s AND layer = asked.layer AND generation = asked.generation)
) AS recent
ORDER BY asked.place
