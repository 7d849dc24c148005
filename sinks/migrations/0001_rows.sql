-- Rows of the log and of what is derived from it. Everything here can be dropped and rebuilt from Kafka.

CREATE EXTENSION IF NOT EXISTS vector;

-- How far each stage has come. Moved by compare-and-set in the transaction that writes the rows, so that of two workers
-- that both believe they own a partition one fails.
CREATE TABLE progress (
    stage       text   NOT NULL,
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stage, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE animas (
    id          uuid PRIMARY KEY,
    key         text NOT NULL,              -- the record key that names it; decides its partition
    partition   int  NOT NULL,
    name        text NOT NULL,
    description text,
    weights     jsonb,                      -- accumulation weights of its own; null: the defaults
    events      int  NOT NULL DEFAULT 0,    -- how many events it has; the next event's seq
    created_at  timestamptz NOT NULL,       -- log time
    updated_at  timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX animas_name ON animas (lower(name) text_pattern_ops);

CREATE TABLE events (
    id               uuid NOT NULL,
    anima_id         uuid NOT NULL,
    seq              int  NOT NULL,         -- dense ordinal within the anima, in log order
    partition        int  NOT NULL,
    "offset"         bigint NOT NULL,
    recorded_at      timestamptz NOT NULL,  -- log time: the record's timestamp
    occurred_at      timestamptz NOT NULL,
    event_type       text NOT NULL,
    content          text NOT NULL,
    role             text,
    author           text,
    session_id       text,
    meta             jsonb,
    source_uri       text,
    dedupe_key       text,
    importance_score real,
    PRIMARY KEY (anima_id, seq)
);
CREATE UNIQUE INDEX events_id ON events (id);

-- Claims: each window of an anima once per generation, contiguous and disjoint. Written by whoever claims; and by the sink from
-- the memories on their topic, so that a database built anew knows what was claimed.
CREATE TABLE windows (
    generation   int  NOT NULL,
    anima_id     uuid NOT NULL,
    last_offset  bigint NOT NULL,
    partition    int  NOT NULL,
    first_offset bigint NOT NULL,
    first_seq    int  NOT NULL,
    last_seq     int  NOT NULL,
    trigger_id   uuid NOT NULL,
    PRIMARY KEY (generation, anima_id, last_offset)
);

CREATE TABLE memories (
    generation   int  NOT NULL,
    id           uuid NOT NULL,
    revision     int  NOT NULL,
    anima_id     uuid NOT NULL,
    seq          int  NOT NULL,             -- dense ordinal of the revision within generation and anima
    summary      text NOT NULL,
    content      text NOT NULL,
    importance   real NOT NULL,
    confidence   real NOT NULL,
    state        text NOT NULL,
    started_at   timestamptz NOT NULL,      -- event time that it speaks of
    ended_at     timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,      -- log time from which it was known
    closed_at    timestamptz,               -- log time at which the next revision replaced it
    model        text NOT NULL,
    prompt_name  text NOT NULL,
    prompt_hash  text NOT NULL,
    trigger      jsonb NOT NULL,
    first_seq    int NOT NULL,              -- events of its window
    last_seq     int NOT NULL,
    partition    int NOT NULL,
    "offset"     bigint NOT NULL,           -- in the topic of memories
    PRIMARY KEY (generation, id, revision)
);
-- All that the long-term score needs of an anima's memories, in one index-only scan.
CREATE UNIQUE INDEX memories_seq ON memories (anima_id, generation, seq)
    INCLUDE (importance, confidence, ended_at, recorded_at, closed_at, state, last_seq);

CREATE TABLE memory_events (
    generation int  NOT NULL,
    memory_id  uuid NOT NULL,
    revision   int  NOT NULL,
    event_seq  int  NOT NULL,
    anima_id   uuid NOT NULL,
    weight     real NOT NULL,
    PRIMARY KEY (generation, memory_id, revision, event_seq)
);
CREATE INDEX memory_events_event ON memory_events (anima_id, event_seq);

-- What could not be processed, and what was decided about it: the topic of dead letters as a table.
CREATE TABLE dead_letters (
    id              uuid PRIMARY KEY,       -- derived from the record's position and the stage
    topic           text NOT NULL,          -- where the record stood
    partition       int  NOT NULL,
    "offset"        bigint NOT NULL,
    stage           text NOT NULL,
    reason          text NOT NULL,
    key             bytea,
    value           bytea,
    recorded_at     timestamptz NOT NULL,   -- the record's timestamp
    failed_at       timestamptz NOT NULL,   -- the letter's
    attempts        int NOT NULL,
    first_partition int NOT NULL,           -- where it stood at its first attempt
    first_offset    bigint NOT NULL,
    state           text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'redriven', 'discarded')),
    decided_at      timestamptz,
    decided_by      text,
    note            text                    -- the redriven record's position; or why it was discarded
);
CREATE INDEX dead_letters_latest ON dead_letters (failed_at DESC);
CREATE INDEX dead_letters_attempts ON dead_letters (topic, first_partition, first_offset);

-- Stages that stopped because too many records failed, until one of their workers goes on.
CREATE TABLE stops (
    stage      text PRIMARY KEY,
    records    int  NOT NULL,               -- the run before the batch at which it stopped
    failures   int  NOT NULL,
    reason     text NOT NULL,
    stopped_at timestamptz NOT NULL DEFAULT now()
);
