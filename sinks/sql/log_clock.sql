-- The latest log time that the rows of one partition show.
SELECT max(greatest(anima.updated_at, last.recorded_at)) AS clock
FROM animas AS anima
LEFT JOIN LATERAL (SELECT recorded_at FROM events WHERE anima_id = anima.id ORDER BY seq DESC LIMIT 1) AS last ON true
WHERE anima.partition = %s
