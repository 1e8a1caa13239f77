-- What queries of the hospital's nodes need kept.

-- The component groups of folded names, each to be read by its beginning: Yamada^Tarou=山田^太郎 is found by either.
CREATE TABLE patient_names (
    folded  TEXT NOT NULL,
    patient INTEGER NOT NULL REFERENCES patients (id),
    PRIMARY KEY (folded, patient)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO patient_names (folded, patient)
    WITH RECURSIVE groups (patient, folded, rest) AS (
        SELECT id, '', name_folded || '=' FROM patients
        UNION ALL
        SELECT patient, substr(rest, 1, instr(rest, '=') - 1), substr(rest, instr(rest, '=') + 1) FROM groups WHERE rest <> ''
    )
    SELECT folded, patient FROM groups WHERE folded <> '';

-- How much there is of a patient; kept by triggers.
ALTER TABLE patients ADD COLUMN studies INTEGER NOT NULL DEFAULT 0;
ALTER TABLE patients ADD COLUMN series INTEGER NOT NULL DEFAULT 0;
ALTER TABLE patients ADD COLUMN instances INTEGER NOT NULL DEFAULT 0;
UPDATE patients SET (studies, series, instances) =
    (SELECT count(*) FILTER (WHERE st.instances > 0), coalesce(sum(st.series), 0), coalesce(sum(st.instances), 0)
     FROM studies st WHERE st.patient = patients.id);

CREATE TRIGGER studies_counted AFTER INSERT ON studies WHEN new.instances > 0 BEGIN
    UPDATE patients SET studies = studies + 1, series = series + new.series, instances = instances + new.instances
        WHERE id = new.patient;
END;
CREATE TRIGGER studies_recounted AFTER UPDATE OF patient, series, instances ON studies
WHEN old.patient IS NOT new.patient OR old.series <> new.series OR old.instances <> new.instances BEGIN
    UPDATE patients SET studies = studies - (old.instances > 0), series = series - old.series,
        instances = instances - old.instances WHERE id = old.patient;
    UPDATE patients SET studies = studies + (new.instances > 0), series = series + new.series,
        instances = instances + new.instances WHERE id = new.patient;
END;
CREATE TRIGGER studies_uncounted AFTER DELETE ON studies WHEN old.instances > 0 BEGIN
    UPDATE patients SET studies = studies - 1, series = series - old.series, instances = instances - old.instances
        WHERE id = old.patient;
END;

-- The SOP classes of a study, separated by backslashes, as they came.
ALTER TABLE studies ADD COLUMN sop_classes TEXT NOT NULL DEFAULT '';
UPDATE studies SET sop_classes = (
    SELECT coalesce(group_concat(u.uid, '\'), '') FROM uids u WHERE u.id IN (
        SELECT i.class FROM series se CROSS JOIN instances i ON i.series = se.id WHERE se.study = studies.id))
    WHERE instances > 0;

-- Pages go on from a key, to which the id belongs as the last part: it is in every index, and must not be named in one, or
-- SQLite does not see it.
DROP INDEX studies_order;
CREATE INDEX studies_moment ON studies (study_date, study_time);
