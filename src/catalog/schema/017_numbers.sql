-- Numbers of accounts and sessions are given once: what is remembered of one is never taken for another one's.
CREATE TABLE users_once (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL UNIQUE,
    password       TEXT NOT NULL,
    roles          TEXT NOT NULL,
    disabled       INTEGER NOT NULL DEFAULT 0,
    created        INTEGER NOT NULL,
    signed_in      INTEGER,
    issuer         TEXT,
    subject        TEXT,
    one_time_until INTEGER
) STRICT;
INSERT INTO users_once (id, name, password, roles, disabled, created, signed_in, issuer, subject, one_time_until)
    SELECT id, name, password, roles, disabled, created, signed_in, issuer, subject, one_time_until FROM users;
CREATE TABLE sessions_once (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    token   BLOB NOT NULL UNIQUE,
    user    INTEGER NOT NULL REFERENCES users_once (id) ON DELETE CASCADE,
    csrf    TEXT,
    label   TEXT,
    created INTEGER NOT NULL,
    seen    INTEGER NOT NULL,
    expires INTEGER,
    CHECK ((csrf IS NULL) <> (label IS NULL))
) STRICT;
INSERT INTO sessions_once (id, token, user, csrf, label, created, seen, expires)
    SELECT id, token, user, csrf, label, created, seen, expires FROM sessions;
DROP TABLE sessions;
DROP TABLE users;
ALTER TABLE users_once RENAME TO users;
ALTER TABLE sessions_once RENAME TO sessions;
CREATE UNIQUE INDEX users_subject ON users (issuer, subject) WHERE subject IS NOT NULL;
CREATE INDEX sessions_user ON sessions (user);
CREATE INDEX sessions_expires ON sessions (expires) WHERE expires IS NOT NULL;
