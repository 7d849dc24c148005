-- What a pack starts from: how many events there are, how many were known at the moment, who speaks, when the last one happened.
WITH known AS (
    SELECT CASE WHEN %(known_at)s >= '9000-01-01' THEN anima.events
                ELSE coalesce((SELECT min(seq) FROM events WHERE anima_id = anima.id AND recorded_at > %(known_at)s), anima.events)
           END AS events
    FROM animas AS anima WHERE anima.id = %(anima)s
)
SELECT anima.events, known.events AS known_events,
       (SELECT array_agg(author ORDER BY author) FROM authors WHERE anima_id = anima.id) AS authors,
       (SELECT array_agg(name ORDER BY author) FROM authors WHERE anima_id = anima.id) AS names,
       (SELECT occurred_at FROM events WHERE anima_id = anima.id AND seq = known.events - 1) AS last_event_at
FROM animas AS anima, known WHERE anima.id = %(anima)s
