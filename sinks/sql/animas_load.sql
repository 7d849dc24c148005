SELECT id, key, partition, name, description, weights, events, created_at, updated_at FROM animas WHERE id = ANY(%s)
