-- What is claimed before all others: first what somebody waits for (kind 0, by the time at which he asked), then what will be
-- needed (kind 1, the newest first: its place is the rank of the item). Those who waited went with the process before.
DROP TABLE recalls;
CREATE TABLE recalls (
    item  INTEGER PRIMARY KEY REFERENCES items (id),
    job   INTEGER NOT NULL REFERENCES jobs (id),
    kind  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    asker TEXT NOT NULL
) STRICT;
CREATE INDEX recalls_order ON recalls (job, kind, place);

-- Whose studies were made ready, when, at whose word.
CREATE TABLE preparations (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    asker    TEXT NOT NULL,
    -- The schedule that asked for it; empty for a person.
    schedule TEXT NOT NULL,
    -- Where the patients were named, in words.
    named_by TEXT NOT NULL,
    -- Studies of this day and later; empty for all.
    since    TEXT NOT NULL,
    lifted   INTEGER NOT NULL,
    failure  TEXT
) STRICT;
CREATE INDEX preparations_schedule ON preparations (schedule, at);
CREATE TABLE prepared_patients (
    preparation INTEGER NOT NULL REFERENCES preparations (id),
    n           INTEGER NOT NULL,
    patient_id  TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    PRIMARY KEY (preparation, n)
) STRICT, WITHOUT ROWID;
