SELECT anima_id, layer, generation, max(seq) + 1 AS next_seq FROM documents
WHERE anima_id = ANY(%s) GROUP BY anima_id, layer, generation
