-- What retrieval reads, complete per anima. Written by the stages `index` and `embed`, after the rows are visible.
-- layer: 0 event, 1 memory. generation: 0 for events, which belong to every generation.

-- The words of one item, in the order of seq: stemmed terms as unsigned 32-bit hashes, with repeats.
CREATE TABLE documents (
    anima_id   uuid     NOT NULL,
    layer      smallint NOT NULL,
    generation smallint NOT NULL,
    seq        int      NOT NULL,
    session    int      NOT NULL,           -- hash of session_id; 0: none
    author     int      NOT NULL,           -- hash of the author's name; 0: none
    occurred   int      NOT NULL,           -- seconds since 1970
    terms      bytea    NOT NULL,
    PRIMARY KEY (anima_id, layer, generation, seq)
);

-- Each full run of 1,024 documents once more, as columns: arrays of little-endian int32 in the order of seq, one after the other:
-- terms per document, session, author, occurred.
CREATE TABLE chunks (
    anima_id   uuid     NOT NULL,
    layer      smallint NOT NULL,
    generation smallint NOT NULL,
    chunk      int      NOT NULL,           -- seq / 1024
    columns    bytea    NOT NULL,
    PRIMARY KEY (anima_id, layer, generation, chunk)
);

-- ... and as postings: per bucket of terms (hash modulo 128), entries of uint32 term, uint16 seq within the chunk, uint16 frequency.
CREATE TABLE postings (
    anima_id   uuid     NOT NULL,
    layer      smallint NOT NULL,
    generation smallint NOT NULL,
    bucket     smallint NOT NULL,
    chunk      int      NOT NULL,
    entries    bytea    NOT NULL,
    PRIMARY KEY (anima_id, layer, generation, bucket, chunk)
);
ALTER TABLE postings ALTER COLUMN entries SET STORAGE EXTERNAL;
ALTER TABLE chunks ALTER COLUMN columns SET STORAGE EXTERNAL;
ALTER TABLE documents ALTER COLUMN terms SET STORAGE EXTERNAL;

-- Names by which a question may mean an author.
CREATE TABLE authors (
    anima_id uuid NOT NULL,
    author   int  NOT NULL,                 -- hash, as in documents
    name     text NOT NULL,
    PRIMARY KEY (anima_id, author)
);

CREATE TABLE embedding_models (
    id         smallint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name       text NOT NULL UNIQUE,
    dimensions int  NOT NULL
);

-- Vectors of length 1. The covering index keeps an anima's vectors together in whatever order they arrive, so that an
-- exact search is one index-only scan. A vector is found again by what it was made of: content_hash.
CREATE TABLE vectors_384 (
    anima_id     uuid     NOT NULL,
    layer        smallint NOT NULL,
    generation   smallint NOT NULL,
    model        smallint NOT NULL REFERENCES embedding_models,
    seq          int      NOT NULL,
    content_hash uuid     NOT NULL,
    v            halfvec(384) NOT NULL
);
ALTER TABLE vectors_384 ALTER COLUMN v SET STORAGE PLAIN;
-- Ten entries fill a page and an anima's seqs only grow: pages are left full when they split.
CREATE UNIQUE INDEX vectors_384_item ON vectors_384 (anima_id, layer, generation, model, seq) INCLUDE (v)
    WITH (fillfactor = 100);
CREATE INDEX vectors_384_content ON vectors_384 (content_hash, model);

-- 1,536 dimensions exceed what an index page holds: the same table, scanned through the heap.
CREATE TABLE vectors_1536 (
    anima_id     uuid     NOT NULL,
    layer        smallint NOT NULL,
    generation   smallint NOT NULL,
    model        smallint NOT NULL REFERENCES embedding_models,
    seq          int      NOT NULL,
    content_hash uuid     NOT NULL,
    v            halfvec(1536) NOT NULL,
    PRIMARY KEY (anima_id, layer, generation, model, seq)
);
ALTER TABLE vectors_1536 ALTER COLUMN v SET STORAGE PLAIN;
CREATE INDEX vectors_1536_content ON vectors_1536 (content_hash, model);

-- Index-only scans need the visibility map: vacuum early after inserts.
ALTER TABLE vectors_384 SET (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = 2000);
