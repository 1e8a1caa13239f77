-- What an import found: its folders, and in them the files that it has something to do about or to say about.

-- Absolute paths as bytes, whichever job met them.
CREATE TABLE import_paths (
    id   INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE
) STRICT;

-- States: 0 to be listed, 1 listed, 2 cannot be read. `unchanged` files were filed by an earlier run, `foreign_files` were found
-- not to be DICOM; `skipped` ones are links, pipes and the like; `outside` ones are of another day than was asked for.
CREATE TABLE import_folders (
    job       INTEGER NOT NULL REFERENCES jobs (id),
    path      INTEGER NOT NULL REFERENCES import_paths (id),
    state     INTEGER NOT NULL DEFAULT 0,
    unchanged     INTEGER NOT NULL DEFAULT 0,
    foreign_files INTEGER NOT NULL DEFAULT 0,
    skipped       INTEGER NOT NULL DEFAULT 0,
    outside       INTEGER NOT NULL DEFAULT 0,
    detail        TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX import_folders_state ON import_folders (job, state, path);

-- One row a file, or a member of an archive, and job. States: 0 listed, 1 filed, 2 was filed already, 3 kept beside with
-- another header, 4 collision, 5 set aside, 6 to be set aside, 7 not DICOM, 8 cannot be read, 9 left for the next run,
-- 10 to be looked at again, 11 a directory (DICOMDIR), 12 refused, 13 an archive. `way`: 0 linked, 1 linked and read whole, 2 copied.
-- `object` is what the header said, as long as it is needed; `instance` what became of it.
CREATE TABLE import_files (
    path     INTEGER NOT NULL REFERENCES import_paths (id),
    name     BLOB NOT NULL,
    member   BLOB NOT NULL,
    job      INTEGER NOT NULL REFERENCES jobs (id),
    way      INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    state    INTEGER NOT NULL,
    item     INTEGER REFERENCES items (id),
    instance INTEGER,
    reason   INTEGER,
    detail   TEXT NOT NULL DEFAULT '',
    object   BLOB,
    PRIMARY KEY (path, name, member, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX import_files_item ON import_files (item, state) WHERE item IS NOT NULL;
CREATE INDEX import_files_open ON import_files (job, state) WHERE state IN (6, 10);
