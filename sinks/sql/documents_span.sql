SELECT session, author, occurred, terms FROM documents
WHERE anima_id = %s AND layer = %s AND generation = %s AND seq BETWEEN %s AND %s ORDER BY seq
