-- What somebody agreed to before the catalog was made anew, as the journal tells it, by the name of the source. When the
-- study stays behind for the same reason once more it is approved as it was; whatever else becomes of it, that is over.
CREATE TABLE agreed (
    study_uid TEXT NOT NULL,
    source    TEXT NOT NULL,
    state     INTEGER NOT NULL,
    reason    INTEGER,
    at        INTEGER NOT NULL,
    operator  TEXT NOT NULL,
    why       TEXT NOT NULL,
    PRIMARY KEY (study_uid, source)
) STRICT, WITHOUT ROWID;

DROP TRIGGER items_approval;
CREATE TRIGGER items_approval AFTER UPDATE OF state ON items
WHEN old.state <> new.state AND (old.state IN (5, 6, 7, 8) OR new.state IN (4, 5, 6, 7, 8)) BEGIN
    DELETE FROM approvals WHERE item = old.id;
    INSERT INTO approvals (item, job, at, operator, why)
        SELECT new.id, new.job, a.at, a.operator, a.why FROM agreed a
        WHERE a.study_uid = new.study_uid AND a.state = new.state AND a.reason IS new.reason
            AND a.source = (SELECT s.name FROM jobs j CROSS JOIN sources s ON s.id = j.source WHERE j.id = new.job);
    DELETE FROM agreed WHERE study_uid = new.study_uid AND new.state IN (4, 5, 6, 7, 8)
        AND source = (SELECT s.name FROM jobs j CROSS JOIN sources s ON s.id = j.source WHERE j.id = new.job);
END;
