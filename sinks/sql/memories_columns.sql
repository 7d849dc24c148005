-- What the long-term score needs to know of every memory revision of an anima, as packed arrays in the order of seq; and which of
-- them packs have served, how often and when last.
SELECT string_agg(float4send(importance), ''::bytea ORDER BY seq) AS importance,
       string_agg(float4send(confidence), ''::bytea ORDER BY seq) AS confidence,
       string_agg(float8send(extract(epoch FROM ended_at)::float8), ''::bytea ORDER BY seq) AS ended_at,
       string_agg(int4send((state <> 'ARCHIVED' AND (closed_at IS NULL OR closed_at > %(known_at)s))::int), ''::bytea ORDER BY seq)
           AS current,
       max(last_seq) AS last_seq,
       (SELECT array_agg(ARRAY[m.seq, a.accesses, extract(epoch FROM a.accessed_at)]::float8[])
        FROM accesses AS a JOIN memories AS m ON m.generation = a.generation AND m.id = a.memory_id
        WHERE a.anima_id = %(anima)s AND a.generation = %(generation)s AND m.recorded_at <= %(known_at)s) AS accesses
FROM memories
WHERE anima_id = %(anima)s AND generation = %(generation)s AND recorded_at <= %(known_at)s
