-- Studies that are listed and not yet filed as a whole, for queries over both archives (see `query::listed::OPEN`).
CREATE INDEX items_open_patient ON items (patient_id) WHERE state IN (0, 1, 2, 3, 5, 6, 9);
CREATE INDEX items_open_accession ON items (accession_number)
    WHERE state IN (0, 1, 2, 3, 5, 6, 9) AND accession_number <> '';
CREATE INDEX items_open_rank ON items (rank) WHERE state IN (0, 1, 2, 3, 5, 6, 9);

-- Items that somebody wants before all others: `kind` 0 for a node that waits, 1 for priors of a worklist.
CREATE TABLE recalls (
    item  INTEGER PRIMARY KEY REFERENCES items (id),
    kind  INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    asker TEXT NOT NULL
) STRICT;
CREATE INDEX recalls_order ON recalls (kind, at);
