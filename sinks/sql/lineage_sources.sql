-- Where the events stand that one revision rests on, in log order.
SELECT e.id, e.seq, e.partition, e."offset", e.recorded_at, e.occurred_at, l.weight
FROM memory_events AS l
JOIN events AS e ON e.anima_id = l.anima_id AND e.seq = l.event_seq
WHERE l.generation = %(generation)s AND l.memory_id = %(id)s AND l.revision = %(revision)s
ORDER BY e.seq
