-- What the long-term score needs to know of every memory revision of an anima, as packed arrays in the order of seq.
SELECT string_agg(float4send(m.importance), ''::bytea ORDER BY m.seq) AS importance,
       string_agg(float4send(m.confidence), ''::bytea ORDER BY m.seq) AS confidence,
       string_agg(int8send(extract(epoch FROM m.ended_at)::bigint), ''::bytea ORDER BY m.seq) AS ended_at,
       string_agg(int8send(extract(epoch FROM coalesce(a.accessed_at, m.ended_at))::bigint), ''::bytea ORDER BY m.seq)
           AS accessed_at,
       string_agg(int4send(coalesce(a.accesses, 0)), ''::bytea ORDER BY m.seq) AS accesses,
       string_agg(int4send((m.state <> 'ARCHIVED' AND (m.closed_at IS NULL OR m.closed_at > %(known_at)s))::int), ''::bytea ORDER BY m.seq) AS current,
       max(m.last_seq) AS last_seq
FROM memories AS m LEFT JOIN accesses AS a ON a.generation = m.generation AND a.memory_id = m.id
WHERE m.anima_id = %(anima)s AND m.generation = %(generation)s AND m.recorded_at <= %(known_at)s
