-- Packs that were served (records of kind `recall`), and what that did to the memories in them.
CREATE TABLE packs (
    anima_id    uuid NOT NULL,
    partition   int  NOT NULL,
    "offset"    bigint NOT NULL,            -- of the recall in the log
    id          text NOT NULL,              -- hash of content and inputs
    generation  int  NOT NULL,
    recorded_at timestamptz NOT NULL,
    query       text,
    preset      text NOT NULL,
    max_tokens  int NOT NULL,
    token_count int NOT NULL,
    content     text NOT NULL,
    items       jsonb NOT NULL,             -- [{kind, id}, …] in the order of the pack
    PRIMARY KEY (anima_id, "offset")
);
CREATE INDEX packs_id ON packs (id);

CREATE TABLE accesses (
    generation  int  NOT NULL,
    memory_id   uuid NOT NULL,
    anima_id    uuid NOT NULL,
    accesses    int  NOT NULL,
    accessed_at timestamptz NOT NULL,       -- log time of the last one
    PRIMARY KEY (generation, memory_id)
) WITH (fillfactor = 70);
CREATE INDEX accesses_anima ON accesses (anima_id, generation);
