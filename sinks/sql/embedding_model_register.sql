INSERT INTO embedding_models (name, dimensions) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING
