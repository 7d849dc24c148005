INSERT INTO authors (anima_id, author, name) SELECT * FROM unnest(%s::uuid[], %s::int[], %s::text[]) ON CONFLICT DO NOTHING
