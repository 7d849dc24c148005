-- All that ranking needs to know of some layers of one anima, complete, as packed arrays in the order of seq: one row per layer.
-- Parameters: anima, layers, generations, since, vectors_since, most_chunks, model, buckets. Chunks and documents are read from seq `since`
-- on. Of a layer with fewer chunks than `most_chunks` a slice of the vectors is read too, from seq `vectors_since` on; the vectors of
-- others are compared by compare.sql.
SELECT packed.*, unheld.*, found.*, recent.*, asked.place
FROM unnest(%(layers)s::smallint[], %(generations)s::smallint[], %(since)s::int[], %(vectors_since)s::int[])
     WITH ORDINALITY AS asked (layer, generation, since, vectors_since, place)
CROSS JOIN LATERAL (
    SELECT count(*)::int AS chunks, count(*) < %(most_chunks)s AS held,
           string_agg(columns, ''::bytea ORDER BY chunk) FILTER (WHERE chunk >= asked.since / 1024) AS columns
    FROM chunks WHERE anima_id = %(anima)s AND layer = asked.layer AND generation = asked.generation
) AS packed
LEFT JOIN LATERAL ({vectors_slice}) AS unheld ON packed.held
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
      AND seq >= greatest(asked.since, packed.chunks * 1024)
) AS recent
ORDER BY asked.place
