SELECT topic, partition, next_offset FROM progress WHERE stage = %s
