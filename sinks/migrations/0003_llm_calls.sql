-- The ledger of paid calls. `reply` is JSON, but its type is text, so that no paid reply is too odd to be kept (NaN, \u0000).
CREATE TABLE llm_calls (
    call_id       text PRIMARY KEY CHECK (call_id ~ '^[0-9a-f]{64}$'),
    anima_id      uuid NOT NULL,
    trigger_id    uuid,
    prompt        text NOT NULL,
    prompt_hash   text NOT NULL,
    model         text NOT NULL,
    request       jsonb NOT NULL,
    reply         text,
    problem       text,
    input_tokens  bigint NOT NULL CHECK (input_tokens >= 0),
    output_tokens bigint NOT NULL CHECK (output_tokens >= 0),
    attempts      integer NOT NULL CHECK (attempts >= 1),
    latency_s     double precision NOT NULL,
    created_at    timestamptz NOT NULL,                             -- when it was paid for, by the worker's clock
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),   -- when what is kept of it was written here
    last_entry    uuid NOT NULL,                                    -- what was added last, which is not added again
    CHECK (reply IS NOT NULL OR problem IS NOT NULL)
);

CREATE INDEX llm_calls_spent ON llm_calls (anima_id, created_at) INCLUDE (input_tokens, output_tokens);
CREATE INDEX llm_calls_trigger ON llm_calls (trigger_id) WHERE trigger_id IS NOT NULL;
