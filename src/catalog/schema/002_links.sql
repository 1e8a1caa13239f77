-- Instances whose bytes stay in a file elsewhere. Such a row has no `place` but the name of the file and its folder; the
-- data set begins at `file_size - length`. An empty `digest` is one that is not known.

-- Folders that files were linked from, as bytes, with a slash at the end.
CREATE TABLE folders (
    id   INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE
) STRICT;

-- `link_modified` in nanoseconds; missing where only size and digest vouch for the file.
ALTER TABLE instances ADD COLUMN link_folder INTEGER REFERENCES folders (id);
ALTER TABLE instances ADD COLUMN link_name BLOB;
ALTER TABLE instances ADD COLUMN link_modified INTEGER;
CREATE INDEX instances_linked ON instances (series) WHERE link_folder IS NOT NULL;

CREATE TABLE copies_or_links (
    id              INTEGER PRIMARY KEY,
    instance        INTEGER NOT NULL REFERENCES instances (id),
    series          INTEGER NOT NULL REFERENCES series (id),
    transfer_syntax INTEGER NOT NULL,
    place           TEXT UNIQUE,
    length          INTEGER NOT NULL,
    file_size       INTEGER NOT NULL,
    digest          BLOB NOT NULL,
    origin          INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    link_folder     INTEGER REFERENCES folders (id),
    link_name       BLOB,
    link_modified   INTEGER,
    CHECK ((place IS NULL) = (link_folder IS NOT NULL))
) STRICT;
INSERT INTO copies_or_links (id, instance, series, transfer_syntax, place, length, file_size, digest, origin, at)
    SELECT id, instance, series, transfer_syntax, place, length, file_size, digest, origin, at FROM copies;
DROP TABLE copies;
ALTER TABLE copies_or_links RENAME TO copies;
CREATE INDEX copies_instance ON copies (instance);
CREATE INDEX copies_series ON copies (series);
CREATE INDEX copies_linked ON copies (series) WHERE link_folder IS NOT NULL;

-- How many files of a study are linked; kept by triggers, so that studies to adopt are found at once.
ALTER TABLE studies ADD COLUMN linked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX studies_linked ON studies (study_date DESC, study_time DESC, uid) WHERE linked > 0;

CREATE TRIGGER instances_link_added AFTER INSERT ON instances WHEN new.link_folder IS NOT NULL BEGIN
    UPDATE studies SET linked = linked + 1 WHERE id = (SELECT study FROM series WHERE id = new.series);
END;
CREATE TRIGGER instances_link_changed AFTER UPDATE OF link_folder ON instances
WHEN (old.link_folder IS NULL) <> (new.link_folder IS NULL) BEGIN
    UPDATE studies SET linked = linked + iif(new.link_folder IS NULL, -1, 1)
        WHERE id = (SELECT study FROM series WHERE id = new.series);
END;
CREATE TRIGGER copies_link_added AFTER INSERT ON copies WHEN new.link_folder IS NOT NULL BEGIN
    UPDATE studies SET linked = linked + 1 WHERE id = (SELECT study FROM series WHERE id = new.series);
END;
CREATE TRIGGER copies_link_changed AFTER UPDATE OF link_folder ON copies
WHEN (old.link_folder IS NULL) <> (new.link_folder IS NULL) BEGIN
    UPDATE studies SET linked = linked + iif(new.link_folder IS NULL, -1, 1)
        WHERE id = (SELECT study FROM series WHERE id = new.series);
END;
CREATE TRIGGER instances_link_removed AFTER DELETE ON instances WHEN old.link_folder IS NOT NULL BEGIN
    UPDATE studies SET linked = linked - 1 WHERE id = (SELECT study FROM series WHERE id = old.series);
END;
CREATE TRIGGER copies_link_removed AFTER DELETE ON copies WHEN old.link_folder IS NOT NULL BEGIN
    UPDATE studies SET linked = linked - 1 WHERE id = (SELECT study FROM series WHERE id = old.series);
END;
