SELECT first_offset, last_offset, first_seq, last_seq FROM windows
WHERE generation = %s AND anima_id = %s AND last_offset = %s AND trigger_id = %s
