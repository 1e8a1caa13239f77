//! Queries against a small archive, good ones and misbehaving ones.

use std::collections::{BTreeSet, HashMap};

use super::*;
use crate::dicom::AeTitle;
use crate::sample::{Archive, Fate};

fn shared() -> Shared {
    let archive = Archive::with(|b| {
        b.study("20240102")
            .time("235000")
            .patient("P1", "Müller^Änne")
            .series("CT")
            .instances(3, 10)
            .series("SR")
            .instances(1, 10);
        b.study("20240103")
            .time("000500")
            .patient("P2", "Moller^Jan")
            .series("MR")
            .instances(2, 10)
            .fate(1, Fate::Unlisted);
        b.study("").patient("P1", "Müller^Änne").series("CR").instances(1, 10);
        b.study("2010.01.05").patient("X_1", "Later").series("US").instances(2, 10).fate(1, Fate::Later(1));
    });
    Shared::new(archive, Profile::default(), AeTitle::new("OLD").unwrap(), HashMap::new())
}

fn ask(
    shared: &Shared,
    profile: &Profile,
    level: QueryLevel,
    keys: &[(Tag, &str)],
) -> Result<Vec<DataSet>, Unanswerable> {
    let mut identifier = Elements::new();
    identifier.put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    for (tag, value) in keys {
        identifier.put(*tag, value);
    }
    Query::new(level, &identifier, profile, "OLD").rows(shared)
}

fn studies(shared: &Shared, keys: &[(Tag, &str)]) -> Vec<usize> {
    let keys = [keys, &[(tags::STUDY_INSTANCE_UID, "")]].concat();
    let rows = ask(shared, &Profile::default(), QueryLevel::Study, &keys).unwrap();
    let place = |row: &DataSet| {
        let uid = row.uid(tags::STUDY_INSTANCE_UID);
        shared.studies().iter().position(|study| **study == uid).unwrap()
    };
    rows.iter().map(place).collect()
}

#[test]
fn dates_match_as_days_and_ranges_and_times_by_themselves() {
    let shared = shared();
    assert_eq!(studies(&shared, &[(tags::STUDY_DATE, "20240102")]), [0]);
    assert_eq!(studies(&shared, &[(tags::STUDY_DATE, "20240102-")]), [0, 1]);
    assert_eq!(studies(&shared, &[(tags::STUDY_DATE, "-20240102")]), [0]);
    assert_eq!(studies(&shared, &[(tags::STUDY_DATE, "19000101-20991231")]), [0, 1]);
    assert_eq!(studies(&shared, &[(tags::STUDY_DATE, "")]), [0, 1, 2, 3]);
    assert_eq!(studies(&shared, &[(tags::STUDY_DATE, "2010.01.05")]), [3]);
    assert_eq!(studies(&shared, &[(tags::STUDY_DATE, "20240102-20240103"), (tags::STUDY_TIME, "2345-2350")]), [0]);
    assert!(
        studies(&shared, &[(tags::STUDY_DATE, "20240102-20240103"), (tags::STUDY_TIME, "234500-001500")]).is_empty()
    );
    let combined = Profile { combined_times: true, ..Profile::default() };
    let keys = [(tags::STUDY_DATE, "20240102-20240103"), (tags::STUDY_TIME, "234500-001500")];
    assert_eq!(ask(&shared, &combined, QueryLevel::Study, &keys).unwrap().len(), 2);
}

#[test]
fn texts_match_with_wildcards_names_whatever_case_and_accents() {
    let shared = shared();
    assert_eq!(studies(&shared, &[(tags::PATIENT_NAME, "muller*")]), [0, 2]);
    assert_eq!(studies(&shared, &[(tags::PATIENT_NAME, "M?ller^*")]), [0, 1, 2]);
    assert_eq!(studies(&shared, &[(tags::PATIENT_ID, "X*")]), [3]);
    assert!(studies(&shared, &[(tags::PATIENT_ID, "p1")]).is_empty());
    assert_eq!(studies(&shared, &[(tags::MODALITIES_IN_STUDY, "SR")]), [0]);
    assert!(wildcard("*", "") && wildcard("a*b*c", "aXbbYc") && !wildcard("a*b", "ac") && !wildcard("?", ""));
}

#[test]
fn levels_below_the_study_need_their_parents_and_unlisted_objects_are_not_there() {
    let shared = shared();
    let uid = shared.studies()[1].to_string();
    let well = Profile::default();
    let rows = ask(&shared, &well, QueryLevel::Series, &[(tags::STUDY_INSTANCE_UID, &uid)]).unwrap();
    let series = rows[0].uid(tags::SERIES_INSTANCE_UID).to_string();
    assert_eq!(rows.len(), 1);
    let parents = [
        (tags::STUDY_INSTANCE_UID, uid.as_str()),
        (tags::SERIES_INSTANCE_UID, series.as_str()),
        (tags::SOP_INSTANCE_UID, ""),
    ];
    assert_eq!(ask(&shared, &well, QueryLevel::Image, &parents).unwrap().len(), 1);
    assert!(ask(&shared, &well, QueryLevel::Image, &parents[..1]).is_err());
    let relational = Profile { relational: true, ..Profile::default() };
    assert_eq!(
        ask(&shared, &relational, QueryLevel::Image, &[(tags::STUDY_INSTANCE_UID, &shared.studies()[0].to_string())])
            .unwrap()
            .len(),
        4
    );
    let careless = Profile { ignored_keys: BTreeSet::from([tags::STUDY_INSTANCE_UID]), ..Profile::default() };
    assert_eq!(ask(&shared, &careless, QueryLevel::Series, &parents[..1]).unwrap().len(), 5);
    let coarse = Profile { image_level: false, ..Profile::default() };
    assert!(ask(&shared, &coarse, QueryLevel::Image, &parents).is_err());
}

#[test]
fn counts_follow_the_profile_and_what_has_come_since() {
    let shared = shared();
    let count = |profile: &Profile, study: usize| {
        let uid = shared.studies()[study].to_string();
        let keys = [(tags::STUDY_INSTANCE_UID, uid.as_str()), (tags::NUMBER_OF_STUDY_RELATED_INSTANCES, "")];
        let rows = ask(&shared, profile, QueryLevel::Study, &keys).unwrap();
        rows[0].bytes(tags::NUMBER_OF_STUDY_RELATED_INSTANCES).map(|b| String::from_utf8_lossy(b).trim().to_owned())
    };
    let with = |counts| Profile { counts, ..Profile::default() };
    assert_eq!(count(&Profile::default(), 0).as_deref(), Some("4"));
    assert_eq!(count(&Profile::default(), 1).as_deref(), Some("1"));
    assert_eq!(count(&with(Counts::Missing), 0), None);
    assert_eq!(count(&with(Counts::Empty), 0).as_deref(), Some(""));
    assert_eq!(count(&with(Counts::Zero), 0).as_deref(), Some("0"));
    assert_eq!(count(&with(Counts::Off(-1)), 0).as_deref(), Some("3"));
    assert_eq!(count(&Profile::default(), 3).as_deref(), Some("1"));
    shared.retrieved(&shared.studies()[3].clone());
    assert_eq!(count(&Profile::default(), 3).as_deref(), Some("2"));
}

#[test]
fn rows_may_come_more_than_once_for_other_patients_or_without_a_uid() {
    let shared = shared();
    let profile =
        Profile { rows_each: 2, conflicting_patients: true, without_uid_every: Some(4), ..Profile::default() };
    let rows =
        ask(&shared, &profile, QueryLevel::Study, &[(tags::STUDY_INSTANCE_UID, ""), (tags::PATIENT_ID, "")]).unwrap();
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[1].uid(tags::PATIENT_ID).as_str(), "OTHER-1");
    assert_eq!(rows.iter().filter(|row| row.uid(tags::STUDY_INSTANCE_UID).is_empty()).count(), 1);
    let patients = ask(&shared, &Profile::default(), QueryLevel::Patient, &[(tags::PATIENT_ID, "")]).unwrap();
    assert_eq!(patients.len(), 3);
}

#[test]
fn answers_say_what_the_profile_says_of_their_character_set() {
    let shared = shared();
    let label = |character_set| {
        let profile = Profile { character_set, ..Profile::default() };
        let rows = ask(&shared, &profile, QueryLevel::Study, &[(tags::PATIENT_NAME, "")]).unwrap();
        assert_eq!(
            rows[0].bytes(tags::PATIENT_NAME),
            Some("Müller^Änne ".as_bytes()).filter(|b| b.len() % 2 == 0).or(Some("Müller^Änne".as_bytes()))
        );
        rows[0].bytes(tags::SPECIFIC_CHARACTER_SET).map(<[u8]>::to_vec)
    };
    assert_eq!(label(TextLabel::Right), Some(b"ISO_IR 192".to_vec()));
    assert_eq!(label(TextLabel::Missing), None);
    assert_eq!(label(TextLabel::Says("ISO_IR_100".into())), Some(b"ISO_IR_100".to_vec()));
}

#[test]
fn some_keys_are_too_much_for_some_sources() {
    let shared = shared();
    let keys = [(tags::PATIENT_ID, "P*"), (tags::STUDY_DATE, "20240101-20240103")];
    for profile in [
        Profile { rejects_wildcards: true, ..Profile::default() },
        Profile { rejects_ranges: true, ..Profile::default() },
        Profile { needed_keys: BTreeSet::from([tags::ACCESSION_NUMBER]), ..Profile::default() },
    ] {
        assert!(ask(&shared, &profile, QueryLevel::Study, &keys).is_err());
    }
    let deaf = Profile { ignored_keys: BTreeSet::from([tags::STUDY_DATE, tags::PATIENT_ID]), ..Profile::default() };
    assert_eq!(ask(&shared, &deaf, QueryLevel::Study, &keys).unwrap().len(), 4);
}
