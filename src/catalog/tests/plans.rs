//! The plans of the hot queries: each step is a search in an index, never a scan or a sort, so that the millionth study
//! costs what the first one cost.

use rusqlite::Connection;

use super::*;
use crate::catalog::query::{AWAITED, By, ListedBy};
use crate::catalog::record::{batch, tally};
use crate::dicom::QueryLevel;

pub(super) fn plan(c: &Connection, sql: &str) -> Vec<String> {
    let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap_or_else(|e| panic!("{e}: {sql}"));
    for parameter in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(parameter, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get(3).unwrap());
    }
    steps
}

pub(super) fn is_flat(step: &str) -> bool {
    !step.starts_with("SCAN") && !step.contains("TEMP B-TREE") && !step.contains("AUTOMATIC")
}

#[test]
fn no_hot_query_scans_or_sorts() {
    let (_folder, catalog) = catalog();
    let (page, next_window) = (totals::page_sql(), windows::next_sql());
    let hot = [
        claim::DUE,
        claim::NEWEST,
        claim::OF_OWNER,
        claim::CLAIMABLE,
        claim::NEXT_DUE,
        checkpoints::CLOSE_OPEN,
        checkpoints::LATEST,
        checkpoints::PULL_OPEN,
        arrivals::FILED,
        arrivals::ARRIVALS,
        arrivals::LAST_ARRIVAL,
        links::STUDIES,
        record::EXISTING,
        record::VARIANTS,
        record::FILED_WITH,
        corrections::flip::ON,
        corrections::flip::OFF,
        corrections::flip::PLACES,
        corrections::check::STAGED,
        corrections::check::LATER,
        corrections::amendments::STEP,
        batch::NEXT_RECEIPT,
        &page,
        &next_window,
        "SELECT 1 FROM items WHERE study_uid = ?1 AND job = ?2",
        "SELECT state, items FROM job_states WHERE job = ?1",
        "SELECT sum(objects) FROM throughput WHERE job = ?1 AND second > ?2",
        "DELETE FROM throughput WHERE job = ?1 AND second < ?2",
        "SELECT slot FROM leases WHERE name = ?1 AND until > ?2 ORDER BY slot",
        "SELECT series_uid, uid FROM missing WHERE item = ?1",
        "SELECT id FROM patients WHERE patient_id = ?1 AND name = ?3 AND issuer = ?2 AND birth_date = ?4 AND sex = ?5",
        "SELECT id FROM series WHERE uid = ?1 AND study = ?2",
    ];
    catalog
        .db
        .read_blocking(|c| {
            for sql in hot {
                let steps = plan(c, sql);
                assert!(!steps.is_empty() && steps.iter().all(|step| is_flat(step)), "{sql}\n{steps:#?}");
            }
            // One row or two are sorted: those of one study in several jobs.
            let steps = plan(c, tally::TARGET);
            assert!(steps.iter().all(|step| is_flat(step) || step.contains("ORDER BY")), "{steps:#?}");
            assert!(steps[0].contains("sqlite_autoindex_items_1 (study_uid=?)"), "{steps:#?}");
            assert!(
                !plan(c, "SELECT * FROM items WHERE detail = ?1").iter().all(|step| is_flat(step)),
                "a scan is seen as one"
            );
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_newest_are_claimed_and_paged_by_the_index_of_their_order() {
    let (_folder, catalog) = catalog();
    let steps = catalog
        .db
        .read_blocking(|c| Ok([plan(c, claim::NEWEST), plan(c, &totals::page_sql()), plan(c, claim::DUE)]))
        .unwrap();
    assert_eq!(steps[0], ["SEARCH items USING COVERING INDEX items_order (job=? AND state=?)"]);
    assert_eq!(steps[1], ["SEARCH items USING INDEX items_order (job=? AND state=? AND (rank,study_uid)>(?,?))"]);
    // As many rows as there are items in somebody's hands.
    let holders = catalog.db.read_blocking(|c| Ok(plan(c, alive::HOLDERS))).unwrap();
    assert!(holders.iter().any(|step| step.contains("items USING COVERING INDEX items_owner")), "{holders:#?}");
    assert_eq!(steps[2], ["SEARCH items USING INDEX items_due (job=? AND due<?)"]);
}

#[test]
fn the_list_of_an_import_is_read_by_its_indexes() {
    let (_folder, catalog) = catalog();
    for sql in [import::KNOWN, import::PENDING, &import::files_of_item_sql(), import::COUNTS, import::FOLDERS] {
        let steps = catalog.db.read_blocking(|c| Ok(plan(c, sql))).unwrap();
        // The rows of one name are sorted: one for each job that met it.
        let sorts = |step: &String| step.contains("TEMP B-TREE") && sql != import::KNOWN;
        assert!(!steps.iter().any(|step| step.starts_with("SCAN") || sorts(step)), "{sql}\n{steps:#?}");
    }
    let steps = catalog.db.read_blocking(|c| Ok(plan(c, &import::files_of_item_sql()))).unwrap();
    assert_eq!(steps[0], "SEARCH f USING INDEX import_files_item (item=? AND state=?)");
}

#[test]
fn queries_are_read_in_the_order_of_an_index_and_without_sorting() {
    let (_folder, catalog) = catalog();
    let level = QueryLevel::Study;
    for (sql, index) in [
        (By::Patients.sql(), "SEARCH p USING INTEGER PRIMARY KEY (rowid>?)"),
        (By::PatientId.sql(), "SEARCH p USING INDEX patients_id ((patient_id,name,rowid)>(?,?,?))"),
        (By::Name.sql(), "SEARCH n USING PRIMARY KEY ((folded,patient)>(?,?))"),
        (By::Moment.sql(), "SEARCH st USING INDEX studies_moment ((study_date,study_time,rowid)<(?,?,?))"),
        (By::Oldest.sql(), "SEARCH st USING INDEX studies_moment ((study_date,study_time,rowid)>(?,?,?))"),
        (By::Accession.sql(), "SEARCH st USING INDEX studies_accession ((accession_number,rowid)>(?,?))"),
        (By::Uids(level).sql(), "SEARCH st USING INDEX sqlite_autoindex_studies_1 (uid=?)"),
        (By::Uids(QueryLevel::Series).sql(), "SEARCH se USING INDEX sqlite_autoindex_series_1 (uid=?)"),
        // Filed with that UID, or given it by a correction.
        (By::Uids(QueryLevel::Image).sql(), "SEARCH i USING INTEGER PRIMARY KEY (rowid=?)"),
        (query::within(level).into(), "SEARCH st USING INDEX studies_patient (patient=? AND rowid>?)"),
        (query::within(QueryLevel::Series).into(), "SEARCH se USING INDEX series_study (study=? AND rowid>?)"),
        (query::within(QueryLevel::Image).into(), "SEARCH i USING INDEX instances_series (series=? AND rowid>?)"),
    ] {
        let steps = catalog.db.read_blocking(|c| Ok(plan(c, &sql))).unwrap();
        assert_eq!(steps[0], index, "{sql}");
        assert!(steps.iter().all(|step| is_flat(step)), "{steps:#?}");
    }
    let steps = catalog.db.read_blocking(|c| Ok(plan(c, &By::Uids(QueryLevel::Image).sql()))).unwrap();
    for index in ["sqlite_autoindex_instances_1 (uid=?)", "correction_instances_new_uid (new_uid=?)"] {
        assert!(steps.iter().any(|step| step.contains(index)), "{index} {steps:#?}");
    }
    for by in [By::PatientId, By::Name, By::Accession, By::Moment] {
        let steps = catalog.db.read_blocking(|c| Ok(plan(c, by.counting()))).unwrap();
        assert!(
            steps
                .iter()
                .any(|step| step.contains("SEARCH") && step.contains("COVERING INDEX") || step.contains("PRIMARY KEY")),
            "{by:?} {steps:#?}"
        );
        assert!(
            !steps
                .iter()
                .any(|step| step.starts_with("SCAN") && !step.contains("SUBQUERY") && !step.contains("subquery")),
            "{by:?} {steps:#?}"
        );
    }
}

#[test]
fn what_stands_beside_a_study_is_found_by_keys() {
    let (_folder, catalog) = catalog();
    for sql in [query::BROUGHT, worklist::STATES] {
        let mut steps = catalog.db.read_blocking(|c| Ok(plan(c, sql))).unwrap();
        // The studies of the page are given.
        steps.retain(|step| !step.contains("VIRTUAL TABLE") && !step.starts_with("SCAN (subquery"));
        assert!(steps.len() > 1 && steps.iter().all(|step| is_flat(step)), "{steps:#?}");
    }
}

#[test]
fn what_is_listed_is_read_by_the_indexes_of_what_is_open() {
    let (_folder, catalog) = catalog();
    for (by, index) in [
        (ListedBy::Uid, "sqlite_autoindex_items_1 (study_uid=?"),
        (ListedBy::PatientId, "items_open_patient ((patient_id,rowid)>(?,?))"),
        (ListedBy::Accession, "items_open_accession ((accession_number,rowid)>(?,?))"),
        (ListedBy::Rank, "items_open_rank ((rank,rowid)>(?,?))"),
    ] {
        for level in [QueryLevel::Patient, QueryLevel::Study] {
            let sql = by.sql(level);
            let steps = catalog.db.read_blocking(|c| Ok(plan(c, &sql))).unwrap();
            // The rows of one study are few.
            let flat = |step: &String| is_flat(step) || (by == ListedBy::Uid && step.contains("ORDER BY"));
            assert!(steps[0].contains(index) && steps.iter().all(flat), "{sql}\n{steps:#?}");
        }
    }
    for sql in [AWAITED, recalls::FIRST, recalls::OF_STUDY, recalls::OF_PATIENT, priors::FILED, priors::OPEN] {
        let steps = catalog.db.read_blocking(|c| Ok(plan(c, sql))).unwrap();
        assert!(steps.iter().all(|step| !step.starts_with("SCAN")), "{sql}\n{steps:#?}");
        let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(sql != recalls::FIRST || !sorts, "{steps:#?}");
    }
}
