-- What a pack starts from: how many events there are, how many were known at the moment, who speaks, when the last one happened;
-- and what the long-term score needs to know of every memory revision, as packed arrays in the order of seq, with which of them
-- packs have served, how often and when last.
WITH known AS (
    SELECT CASE WHEN %(known_at)s >= '9000-01-01' THEN anima.events
                ELSE coalesce((SELECT min(seq) FROM events WHERE anima_id = anima.id AND recorded_at > %(known_at)s), anima.events)
           END AS events
    FROM animas AS anima WHERE anima.id = %(anima)s
), standing AS (
    SELECT string_agg(float4send(importance), ''::bytea ORDER BY seq) AS importance,
           string_agg(float4send(confidence), ''::bytea ORDER BY seq) AS confidence,
           string_agg(float8send(date_part('epoch', ended_at)), ''::bytea ORDER BY seq) AS ended_at,
           string_agg(int4send((state <> 'ARCHIVED' AND (closed_at IS NULL OR closed_at > %(known_at)s))::int), ''::bytea ORDER BY seq)
               AS current,
           max(last_seq) AS last_seq
    FROM memories
    WHERE anima_id = %(anima)s AND generation = %(generation)s AND recorded_at <= %(known_at)s
)
SELECT anima.events, known.events AS known_events,
       (SELECT array_agg(author ORDER BY author) FROM authors WHERE anima_id = anima.id) AS authors,
       (SELECT array_agg(name ORDER BY author) FROM authors WHERE anima_id = anima.id) AS names,
       (SELECT occurred_at FROM events WHERE anima_id = anima.id AND seq = known.events - 1) AS last_event_at,
       standing.*,
       (SELECT array_agg(ARRAY[m.seq, a.accesses, date_part('epoch', a.accessed_at)]::float8[])
        FROM accesses AS a JOIN memories AS m ON m.generation = a.generation AND m.id = a.memory_id
        WHERE a.anima_id = %(anima)s AND a.generation = %(generation)s AND m.recorded_at <= %(known_at)s) AS accesses
FROM animas AS anima, known, standing WHERE anima.id = %(anima)s
