-- What is drawn of a job, kept as it happens, so that looking costs the same for ten studies and a million.

-- Items of a job by study date, empty where there is none; `apart` are excluded and cancelled ones. Kept by triggers on items.
CREATE TABLE job_days (
    job     INTEGER NOT NULL REFERENCES jobs (id),
    day     TEXT NOT NULL,
    pending INTEGER NOT NULL,
    proven  INTEGER NOT NULL,
    fallout INTEGER NOT NULL,
    apart   INTEGER NOT NULL,
    PRIMARY KEY (job, day)
) STRICT, WITHOUT ROWID;
INSERT INTO job_days
    SELECT job, study_date, sum(state IN (0, 1, 2, 3, 9)), sum(state = 4), sum(state IN (5, 6)), sum(state IN (7, 8))
    FROM items GROUP BY job, study_date;

CREATE TRIGGER items_day_added AFTER INSERT ON items BEGIN
    INSERT INTO job_days VALUES (new.job, new.study_date,
            new.state IN (0, 1, 2, 3, 9), new.state = 4, new.state IN (5, 6), new.state IN (7, 8))
        ON CONFLICT DO UPDATE SET pending = pending + excluded.pending, proven = proven + excluded.proven,
            fallout = fallout + excluded.fallout, apart = apart + excluded.apart;
END;

CREATE TRIGGER items_day_moved AFTER UPDATE OF state ON items
WHEN (old.state IN (0, 1, 2, 3, 9), old.state = 4, old.state IN (5, 6))
  <> (new.state IN (0, 1, 2, 3, 9), new.state = 4, new.state IN (5, 6))
BEGIN
    UPDATE job_days SET
        pending = pending + (new.state IN (0, 1, 2, 3, 9)) - (old.state IN (0, 1, 2, 3, 9)),
        proven  = proven + (new.state = 4) - (old.state = 4),
        fallout = fallout + (new.state IN (5, 6)) - (old.state IN (5, 6)),
        apart   = apart + (new.state IN (7, 8)) - (old.state IN (7, 8))
    WHERE job = new.job AND day = new.study_date;
END;

-- Partial, failed and excluded items of a job by reason; kept by triggers on items.
CREATE TABLE job_reasons (
    job    INTEGER NOT NULL REFERENCES jobs (id),
    reason INTEGER NOT NULL,
    items  INTEGER NOT NULL,
    PRIMARY KEY (job, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO job_reasons
    SELECT job, reason, count(*) FROM items WHERE state IN (5, 6, 7) AND reason IS NOT NULL GROUP BY job, reason;

CREATE TRIGGER items_reason_gone AFTER UPDATE OF state, reason ON items
WHEN old.state IN (5, 6, 7) AND old.reason IS NOT NULL BEGIN
    UPDATE job_reasons SET items = items - 1 WHERE job = old.job AND reason = old.reason;
END;
CREATE TRIGGER items_reason_come AFTER UPDATE OF state, reason ON items
WHEN new.state IN (5, 6, 7) AND new.reason IS NOT NULL BEGIN
    INSERT INTO job_reasons VALUES (new.job, new.reason, 1) ON CONFLICT DO UPDATE SET items = items + 1;
END;

-- Who agreed that a study stays behind. What becomes of the study afterwards is no longer what was agreed to.
CREATE TABLE approvals (
    item     INTEGER PRIMARY KEY REFERENCES items (id),
    job      INTEGER NOT NULL REFERENCES jobs (id),
    at       INTEGER NOT NULL,
    operator TEXT NOT NULL,
    why      TEXT NOT NULL
) STRICT;
CREATE INDEX approvals_job ON approvals (job);
CREATE TRIGGER items_approval AFTER UPDATE OF state ON items
WHEN old.state IN (5, 6, 7, 8) AND old.state <> new.state BEGIN
    DELETE FROM approvals WHERE item = old.id;
END;

-- What arrived for a job and what was asked of its source, by minute (`span` 60) for some hours and by hour (3600) for a year.
-- `held` are the most associations at one time; `most` and `rate` are the limits that were in force.
CREATE TABLE pace (
    job     INTEGER NOT NULL,
    span    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    objects INTEGER NOT NULL DEFAULT 0,
    bytes   INTEGER NOT NULL DEFAULT 0,
    held    INTEGER NOT NULL DEFAULT 0,
    most    INTEGER,
    rate    INTEGER,
    PRIMARY KEY (job, span, at)
) STRICT, WITHOUT ROWID;

-- A source that an operator has asked to be gentler to for a while: tighter limits than those of the configuration.
CREATE TABLE slowed (
    source       INTEGER PRIMARY KEY REFERENCES sources (id),
    until        INTEGER NOT NULL,
    associations INTEGER NOT NULL,
    rate         INTEGER,
    operator     TEXT NOT NULL
) STRICT;
