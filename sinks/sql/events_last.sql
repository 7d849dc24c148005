SELECT "offset" FROM events WHERE anima_id = %s ORDER BY seq DESC LIMIT 1
