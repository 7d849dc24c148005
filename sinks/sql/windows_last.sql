SELECT last_offset, last_seq FROM windows
WHERE generation = %s AND anima_id = %s
ORDER BY last_offset DESC LIMIT 1
