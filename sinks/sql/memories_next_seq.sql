SELECT generation, anima_id, max(seq) + 1 AS next_seq FROM memories WHERE anima_id = ANY(%s) GROUP BY generation, anima_id
