INSERT INTO windows (generation, anima_id, last_offset, id, partition, first_offset, first_seq, last_seq, trigger_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
