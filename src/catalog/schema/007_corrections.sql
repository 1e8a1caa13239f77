-- Corrections: which study and series objects are shown in, and as what, without a change of what is filed.

-- One row an operation. `key` names it in the journal of the storage folder. `kind`: 0 reallocate, 1 merge, 2 split, 3 clear,
-- 4 file from quarantine, 5 discard from quarantine. `mode`: 0 local, 1 IOCM. `state`: 0 staged, 1 active, 2 undone.
-- `process` is who stages it. `amendment` is what its objects have in another way when they leave; `sheet` is JSON.
CREATE TABLE corrections (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    kind        INTEGER NOT NULL,
    mode        INTEGER NOT NULL,
    state       INTEGER NOT NULL DEFAULT 0,
    at          INTEGER NOT NULL,
    operator    TEXT NOT NULL,
    reason      TEXT NOT NULL,
    reason_text TEXT NOT NULL,
    source      INTEGER NOT NULL REFERENCES studies (id),
    destination INTEGER NOT NULL REFERENCES studies (id),
    process     TEXT NOT NULL,
    amendment   BLOB NOT NULL,
    sheet       TEXT NOT NULL,
    undone_at   INTEGER,
    undone_by   TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX corrections_source ON corrections (source);
CREATE INDEX corrections_destination ON corrections (destination);
CREATE INDEX corrections_staged ON corrections (process) WHERE state = 0;

-- Its objects. `role`: 0 moved, 1 hidden, 2 written by the operation, 3 filed from quarantine. An `instance` below zero is a
-- row of `awaited` whose object is not here. `new_series` is unknown until an object that is awaited comes. `new_uid` is the
-- SOP Instance UID that is shown where that is not the one that it was filed with, those of `previous` operations included.
CREATE TABLE correction_instances (
    correction INTEGER NOT NULL REFERENCES corrections (id),
    instance   INTEGER NOT NULL,
    role       INTEGER NOT NULL,
    old_series INTEGER NOT NULL REFERENCES series (id),
    new_series INTEGER REFERENCES series (id),
    new_uid    TEXT,
    previous   INTEGER REFERENCES corrections (id),
    patch      BLOB,
    PRIMARY KEY (correction, instance)
) STRICT, WITHOUT ROWID;
CREATE INDEX correction_instances_instance ON correction_instances (instance);
CREATE INDEX correction_instances_new_uid ON correction_instances (new_uid) WHERE new_uid IS NOT NULL;
CREATE INDEX correction_instances_old_series ON correction_instances (old_series);

-- The active operation on an instance, and the series that it was filed in where it is not shown in that one.
-- What is shown nowhere is in series of the study with an empty UID, whose own count stays zero, as theirs do.
ALTER TABLE instances ADD COLUMN correction INTEGER REFERENCES corrections (id);
ALTER TABLE instances ADD COLUMN home INTEGER REFERENCES series (id);

-- Where an object goes that comes: one that an operation has written and nobody shall see before, or one that was moved and
-- whose file is lost.
CREATE TABLE awaited (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    uid        TEXT NOT NULL UNIQUE,
    series     INTEGER NOT NULL REFERENCES series (id),
    home       INTEGER NOT NULL REFERENCES series (id),
    correction INTEGER REFERENCES corrections (id)
) STRICT;

-- Filed or discarded by this operation; it is no longer in quarantine then.
ALTER TABLE quarantine ADD COLUMN correction INTEGER REFERENCES corrections (id);

-- Who keeps others from changing a study: a person (`process` is empty) or an operation for as long as its process lives.
CREATE TABLE locks (
    study   INTEGER NOT NULL PRIMARY KEY REFERENCES studies (id),
    owner   TEXT NOT NULL,
    since   INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    process TEXT NOT NULL
) STRICT, WITHOUT ROWID;
