-- The audit trail (PS3.15 A.5), in the order in which it is sent to a collector. `event`, `who` and `what` are for people;
-- `message` is the XML. `outcome`: 0 success, 4 minor, 8 serious, 12 major failure.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    event   TEXT NOT NULL,
    outcome INTEGER NOT NULL,
    who     TEXT NOT NULL,
    what    TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
