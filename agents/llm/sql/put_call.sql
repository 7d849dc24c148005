-- Records what was paid for a call. Called again for the same call, it adds up the tokens and keeps the first reply, from
-- which a memory may have been made already, unless that is the outdated one. The entry that was put last adds nothing when
-- it is put again. Returns the reply that is kept.
INSERT INTO llm_calls AS paid (
    call_id, anima_id, trigger_id, prompt, prompt_hash, model, request, reply, problem,
    input_tokens, output_tokens, attempts, latency_s, created_at, last_entry)
VALUES (
    %(call_id)s, %(anima_id)s, %(trigger_id)s, %(prompt)s, %(prompt_hash)s, %(model)s, %(request)s, %(reply)s, %(problem)s,
    %(input_tokens)s, %(output_tokens)s, %(attempts)s, %(latency_s)s, %(created_at)s,
    %(id)s)
ON CONFLICT (call_id) DO UPDATE SET
    reply = coalesce(nullif(paid.reply, %(outdated)s), excluded.reply, paid.reply),
    problem = CASE WHEN excluded.reply IS NULL THEN excluded.problem END,
    input_tokens = paid.input_tokens + excluded.input_tokens,
    output_tokens = paid.output_tokens + excluded.output_tokens,
    attempts = paid.attempts + excluded.attempts,
    latency_s = paid.latency_s + excluded.latency_s,
    last_entry = excluded.last_entry,
    created_at = CASE WHEN nullif(paid.reply, %(outdated)s) IS NULL THEN excluded.created_at ELSE paid.created_at END,
    recorded_at = CASE WHEN nullif(paid.reply, %(outdated)s) IS NULL THEN clock_timestamp() ELSE paid.recorded_at END
WHERE paid.last_entry <> excluded.last_entry
RETURNING reply
