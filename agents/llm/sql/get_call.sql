-- The reply recorded for a call. No row: never answered, or only outside the contract.
SELECT reply, input_tokens, output_tokens, attempts, latency_s
  FROM llm_calls
 WHERE call_id = %(call_id)s
   AND reply IS NOT NULL
