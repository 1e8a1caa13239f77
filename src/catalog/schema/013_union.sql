-- Studies that are listed and not yet filed as a whole, for queries over both archives (see `query::listed::OPEN`).
CREATE INDEX items_open_patient ON items (patient_id) WHERE state IN (0, 1, 2, 3, 5, 6, 9);
CREATE INDEX items_open_accession ON items (accession_number)
    WHERE state IN (0, 1, 2, 3, 5, 6, 9) AND accession_number <> '';
CREATE INDEX items_open_rank ON items (rank) WHERE state IN (0, 1, 2, 3, 5, 6, 9);

-- Items that a node waits for.
CREATE TABLE recalls (
    item  INTEGER PRIMARY KEY REFERENCES items (id),
    at    INTEGER NOT NULL,
    asker TEXT NOT NULL
) STRICT;
CREATE INDEX recalls_order ON recalls (at);
