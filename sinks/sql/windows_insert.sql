INSERT INTO windows (generation, anima_id, partition, first_offset, last_offset, first_seq, last_seq, trigger_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
