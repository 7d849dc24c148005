-- One text with commas: psycopg searches each element of an array of texts for what needs quoting.
SELECT id FROM events WHERE id = ANY(string_to_array(%s, ',')::uuid[])
