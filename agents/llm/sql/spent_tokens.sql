-- Tokens paid for an anima since a moment.
SELECT coalesce(sum(input_tokens + output_tokens), 0)::bigint
  FROM llm_calls
 WHERE anima_id = %(anima_id)s
   AND created_at >= %(since)s
