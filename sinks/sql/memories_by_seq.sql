SELECT id, revision, seq, summary, importance, started_at, first_seq, last_seq, partition, "offset", model, prompt_name, prompt_hash,
       trigger
FROM memories WHERE anima_id = %(anima)s AND generation = %(generation)s AND seq = ANY(%(seqs)s)
