INSERT INTO dead_letters SELECT * FROM incoming_letters ON CONFLICT DO NOTHING
