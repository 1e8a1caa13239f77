-- Storage commitment: what peers asked for and have not been told yet. `list` is a digest of the instances asked for; `due`
-- is when something is to be done about it.
CREATE TABLE commitments (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    peer            TEXT NOT NULL,
    transaction_uid TEXT NOT NULL,
    list            BLOB NOT NULL,
    instances       INTEGER NOT NULL,
    checked         INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    at              INTEGER NOT NULL,
    due             INTEGER NOT NULL,
    UNIQUE (peer, transaction_uid)
) STRICT;
CREATE INDEX commitments_due ON commitments (due);

-- `reason` is empty until the instance has been looked at; 0 is committed, all else the Failure Reason.
CREATE TABLE commitment_instances (
    commitment INTEGER NOT NULL REFERENCES commitments (id),
    n          INTEGER NOT NULL,
    class      TEXT NOT NULL,
    uid        TEXT NOT NULL,
    reason     INTEGER,
    PRIMARY KEY (commitment, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX quarantine_uid ON quarantine (uid);
