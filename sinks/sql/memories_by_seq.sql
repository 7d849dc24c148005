SELECT id, revision, seq, summary, content, importance, confidence, state, started_at, ended_at, recorded_at, first_seq, last_seq,
       partition, "offset", model, prompt_name, prompt_hash, trigger
FROM memories WHERE anima_id = %(anima)s AND generation = %(generation)s AND seq = ANY(%(seqs)s)
