-- The first decision about a letter stands.
UPDATE dead_letters AS letter
SET state = d.state, decided_at = d.decided_at, decided_by = d.decided_by, note = d.note
FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::text[], %s::text[])
    AS d (id, state, decided_at, decided_by, note)
WHERE letter.id = d.id AND letter.state = 'open'
