SELECT generation, id, revision FROM memories WHERE id = ANY(%s)
