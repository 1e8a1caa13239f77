-- Who may use the console: people, their sessions, and tokens for programs. Of passwords and tokens only hashes are kept.

-- `password` is in the PHC string format. `must_change`: it was made by somebody else.
CREATE TABLE users (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    password     TEXT NOT NULL,
    roles        TEXT NOT NULL,
    must_change  INTEGER NOT NULL,
    disabled     INTEGER NOT NULL DEFAULT 0,
    created      INTEGER NOT NULL,
    signed_in    INTEGER
) STRICT;

-- `token` is a digest of what the browser or the program shows. A session has a `csrf` text, a program's token a `label`.
CREATE TABLE sessions (
    id      INTEGER PRIMARY KEY,
    token   BLOB NOT NULL UNIQUE,
    user    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    csrf    TEXT,
    label   TEXT,
    created INTEGER NOT NULL,
    seen    INTEGER NOT NULL,
    expires INTEGER,
    CHECK ((csrf IS NULL) <> (label IS NULL))
) STRICT;
CREATE INDEX sessions_user ON sessions (user);
CREATE INDEX sessions_expires ON sessions (expires) WHERE expires IS NOT NULL;
