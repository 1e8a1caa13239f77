-- What is filed, what arrived, and what jobs have to do. Integer keys inside; DICOM's words outside.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Source 0 is nobody that is configured.
CREATE TABLE sources (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    profile TEXT
) STRICT;
INSERT INTO sources (id, name) VALUES (0, '');

-- UIDs that many rows share: SOP classes and transfer syntaxes.
CREATE TABLE uids (
    id  INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE
) STRICT;

-- One row for each association that brought objects.
CREATE TABLE origins (
    id          INTEGER PRIMARY KEY,
    process     TEXT NOT NULL,
    association INTEGER NOT NULL,
    source      INTEGER NOT NULL REFERENCES sources (id),
    ae_title    TEXT NOT NULL,
    address     TEXT NOT NULL,
    UNIQUE (process, association, source, ae_title, address)
) STRICT;

-- Demographics as objects gave them. Old archives use one Patient ID for several people, so every set of values is a
-- row of its own and no study is ever shown under a name that was not its own.
CREATE TABLE patients (
    id          INTEGER PRIMARY KEY,
    patient_id  TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    name        TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    birth_date  TEXT NOT NULL,
    sex         TEXT NOT NULL
) STRICT;
CREATE INDEX patients_id ON patients (patient_id, name);

-- A study without instances is only a name that receipts need; queries do not show it.
CREATE TABLE studies (
    id                  INTEGER PRIMARY KEY,
    uid                 TEXT NOT NULL UNIQUE,
    patient             INTEGER REFERENCES patients (id),
    study_date          TEXT NOT NULL DEFAULT '',
    study_time          TEXT NOT NULL DEFAULT '',
    study_id            TEXT NOT NULL DEFAULT '',
    accession_number    TEXT NOT NULL DEFAULT '',
    description         TEXT NOT NULL DEFAULT '',
    referring_physician TEXT NOT NULL DEFAULT '',
    referring_folded    TEXT NOT NULL DEFAULT '',
    modalities          TEXT NOT NULL DEFAULT '',
    series              INTEGER NOT NULL DEFAULT 0,
    instances           INTEGER NOT NULL DEFAULT 0,
    flags               INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX studies_order ON studies (study_date DESC, study_time DESC, uid);
CREATE INDEX studies_patient ON studies (patient);
CREATE INDEX studies_accession ON studies (accession_number) WHERE accession_number <> '';

-- `folder` is where its first instance was filed.
CREATE TABLE series (
    id          INTEGER PRIMARY KEY,
    study       INTEGER NOT NULL REFERENCES studies (id),
    uid         TEXT NOT NULL,
    modality    TEXT NOT NULL,
    number      TEXT NOT NULL,
    description TEXT NOT NULL,
    series_date TEXT NOT NULL,
    series_time TEXT NOT NULL,
    body_part   TEXT NOT NULL,
    folder      TEXT NOT NULL DEFAULT '',
    instances   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (uid, study)
) STRICT;
CREATE INDEX series_study ON series (study);

-- `place` only where it is not `<folder of the series>/<uid>.dcm`.
CREATE TABLE instances (
    id              INTEGER PRIMARY KEY,
    uid             TEXT NOT NULL UNIQUE,
    series          INTEGER NOT NULL REFERENCES series (id),
    class           INTEGER NOT NULL,
    transfer_syntax INTEGER NOT NULL,
    number          TEXT NOT NULL,
    rows            INTEGER,
    columns         INTEGER,
    frames          TEXT NOT NULL,
    place           TEXT,
    length          INTEGER NOT NULL,
    file_size       INTEGER NOT NULL,
    digest          BLOB NOT NULL,
    origin          INTEGER NOT NULL,
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX instances_series ON instances (series);

-- Variants: the same pixel data as the instance, another header; kept beside, never counted as another instance.
CREATE TABLE copies (
    id              INTEGER PRIMARY KEY,
    instance        INTEGER NOT NULL REFERENCES instances (id),
    series          INTEGER NOT NULL REFERENCES series (id),
    transfer_syntax INTEGER NOT NULL,
    place           TEXT NOT NULL UNIQUE,
    length          INTEGER NOT NULL,
    file_size       INTEGER NOT NULL,
    digest          BLOB NOT NULL,
    origin          INTEGER NOT NULL,
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX copies_instance ON copies (instance);
CREATE INDEX copies_series ON copies (series);

CREATE TABLE quarantine (
    id              INTEGER PRIMARY KEY,
    study           INTEGER NOT NULL REFERENCES studies (id),
    series_uid      TEXT NOT NULL,
    uid             TEXT NOT NULL,
    class           INTEGER NOT NULL,
    transfer_syntax INTEGER NOT NULL,
    patient_id      TEXT NOT NULL,
    patient_name    TEXT NOT NULL,
    study_date      TEXT NOT NULL,
    reason          TEXT NOT NULL,
    collision       INTEGER NOT NULL,
    place           TEXT NOT NULL UNIQUE,
    length          INTEGER NOT NULL,
    file_size       INTEGER NOT NULL,
    digest          BLOB NOT NULL,
    origin          INTEGER NOT NULL,
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX quarantine_study ON quarantine (study);

-- Every object that arrived, in order, by study and source. `uid` only where there is no instance.
CREATE TABLE receipts (
    study    INTEGER NOT NULL,
    source   INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    outcome  INTEGER NOT NULL,
    instance INTEGER,
    uid      TEXT,
    item     INTEGER,
    origin   INTEGER NOT NULL,
    length   INTEGER NOT NULL,
    PRIMARY KEY (study, source, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source          INTEGER NOT NULL REFERENCES sources (id),
    spec            TEXT NOT NULL,
    state           INTEGER NOT NULL,
    control         INTEGER NOT NULL,
    message         TEXT,
    created         INTEGER NOT NULL,
    started         INTEGER,
    ended           INTEGER,
    enumerated      INTEGER NOT NULL DEFAULT 0,
    plan            TEXT,
    -- kept by triggers on items
    proven_by_count INTEGER NOT NULL DEFAULT 0,
    listed          INTEGER NOT NULL DEFAULT 0,
    filed           INTEGER NOT NULL DEFAULT 0,
    duplicate       INTEGER NOT NULL DEFAULT 0,
    variant         INTEGER NOT NULL DEFAULT 0,
    collision       INTEGER NOT NULL DEFAULT 0,
    quarantined     INTEGER NOT NULL DEFAULT 0,
    bytes           INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_spec ON jobs (spec);

-- Items of a job by state; kept by triggers on items.
CREATE TABLE job_states (
    job   INTEGER NOT NULL REFERENCES jobs (id),
    state INTEGER NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (job, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_notes (
    id   INTEGER PRIMARY KEY,
    job  INTEGER NOT NULL REFERENCES jobs (id),
    at   INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (job, kind, text)
) STRICT;

-- What arrived for a job, by second, for a while.
CREATE TABLE throughput (
    job     INTEGER NOT NULL,
    second  INTEGER NOT NULL,
    objects INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    PRIMARY KEY (job, second)
) STRICT, WITHOUT ROWID;

-- States: 0 listed, 1 pulling, 2 verifying, 3 waiting, 4 proven, 5 partial, 6 failed, 7 excluded, 8 cancelled, and
-- 9 for a waiting item whose time has come, so that the newest of them is found at once.
-- `due` is when a waiting item's time comes, or a lease ends. `rank` puts the newest first.
CREATE TABLE items (
    id               INTEGER PRIMARY KEY,
    job              INTEGER NOT NULL REFERENCES jobs (id),
    study_uid        TEXT NOT NULL,
    rank             INTEGER NOT NULL,
    state            INTEGER NOT NULL,
    due              INTEGER,
    owner            TEXT,
    fence            INTEGER NOT NULL DEFAULT 0,
    attempt          INTEGER NOT NULL DEFAULT 0,
    first_pulled     INTEGER,
    changed          INTEGER NOT NULL,
    study_date       TEXT NOT NULL,
    study_date_raw   TEXT NOT NULL,
    study_time       TEXT NOT NULL,
    patient_id       TEXT NOT NULL,
    issuer           TEXT NOT NULL,
    patient_name     TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    description      TEXT NOT NULL,
    modalities       TEXT NOT NULL,
    instances        INTEGER,
    conflict         INTEGER NOT NULL DEFAULT 0,
    missing          INTEGER NOT NULL DEFAULT 0,
    evidence         INTEGER,
    reason           INTEGER,
    detail           TEXT NOT NULL DEFAULT '',
    listing_digest   BLOB,
    listed           INTEGER NOT NULL DEFAULT 0,
    filed            INTEGER NOT NULL DEFAULT 0,
    duplicate        INTEGER NOT NULL DEFAULT 0,
    variant          INTEGER NOT NULL DEFAULT 0,
    collision        INTEGER NOT NULL DEFAULT 0,
    quarantined      INTEGER NOT NULL DEFAULT 0,
    bytes            INTEGER NOT NULL DEFAULT 0,
    UNIQUE (study_uid, job)
) STRICT;
CREATE INDEX items_order ON items (job, state, rank, study_uid);
CREATE INDEX items_due ON items (job, due) WHERE due IS NOT NULL;
CREATE INDEX items_owner ON items (owner) WHERE owner IS NOT NULL;

CREATE TRIGGER items_added AFTER INSERT ON items BEGIN
    INSERT INTO job_states (job, state, items) VALUES (new.job, new.state, 1)
        ON CONFLICT DO UPDATE SET items = items + 1;
    UPDATE jobs SET listed = listed + new.listed WHERE id = new.job;
END;

CREATE TRIGGER items_moved AFTER UPDATE OF state ON items WHEN old.state <> new.state BEGIN
    UPDATE job_states SET items = items - 1 WHERE job = old.job AND state = old.state;
    INSERT INTO job_states (job, state, items) VALUES (new.job, new.state, 1)
        ON CONFLICT DO UPDATE SET items = items + 1;
END;

CREATE TRIGGER items_counted
AFTER UPDATE OF state, evidence, listed, filed, duplicate, variant, collision, quarantined, bytes ON items
WHEN (old.listed, old.filed, old.duplicate, old.variant, old.collision, old.quarantined, old.bytes,
      old.state = 4 AND old.evidence IS 1)
  <> (new.listed, new.filed, new.duplicate, new.variant, new.collision, new.quarantined, new.bytes,
      new.state = 4 AND new.evidence IS 1)
BEGIN
    UPDATE jobs SET
        proven_by_count = proven_by_count + (new.state = 4 AND new.evidence IS 1) - (old.state = 4 AND old.evidence IS 1),
        listed      = listed + new.listed - old.listed,
        filed       = filed + new.filed - old.filed,
        duplicate   = duplicate + new.duplicate - old.duplicate,
        variant     = variant + new.variant - old.variant,
        collision   = collision + new.collision - old.collision,
        quarantined = quarantined + new.quarantined - old.quarantined,
        bytes       = bytes + new.bytes - old.bytes
    WHERE id = new.job;
END;

-- Rows of the source's answers that differ from the one that the item was made of, as evidence.
CREATE TABLE item_rows (
    item INTEGER NOT NULL REFERENCES items (id),
    n    INTEGER NOT NULL,
    row  TEXT NOT NULL,
    PRIMARY KEY (item, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE missing (
    item       INTEGER NOT NULL REFERENCES items (id),
    uid        TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    PRIMARY KEY (item, uid, series_uid)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    id          INTEGER PRIMARY KEY,
    job         INTEGER NOT NULL REFERENCES jobs (id),
    item        INTEGER NOT NULL REFERENCES items (id),
    owner       TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    association INTEGER NOT NULL,
    message_id  INTEGER NOT NULL,
    level       TEXT NOT NULL,
    phase       TEXT NOT NULL,
    remaining   INTEGER,
    completed   INTEGER,
    failed      INTEGER,
    warning     INTEGER,
    received    INTEGER NOT NULL DEFAULT 0,
    opened      INTEGER NOT NULL,
    updated     INTEGER NOT NULL,
    closed      INTEGER
) STRICT;
CREATE INDEX checkpoints_job ON checkpoints (job);
CREATE INDEX checkpoints_open ON checkpoints (item) WHERE closed IS NULL;

-- States: 0 pending, 1 listed, 2 split, 3 failed.
CREATE TABLE windows (
    id      INTEGER PRIMARY KEY,
    job     INTEGER NOT NULL REFERENCES jobs (id),
    seq     INTEGER NOT NULL,
    keys    TEXT NOT NULL,
    state   INTEGER NOT NULL DEFAULT 0,
    answers INTEGER,
    detail  TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX windows_order ON windows (job, state, seq);

CREATE TABLE leases (
    name  TEXT NOT NULL,
    slot  INTEGER NOT NULL,
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (name, slot)
) STRICT, WITHOUT ROWID;
