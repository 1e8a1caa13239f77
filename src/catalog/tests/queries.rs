//! Query by example.

use super::*;
use crate::dicom::QueryLevel;

fn catalog_of_five() -> (tempfile::TempDir, Catalog) {
    let (folder, catalog) = catalog();
    let people = [
        (1, "MÜLLER^Jürgen", "P1", "20210105", "CT", "Knee [left]"),
        (2, "Muller^Anna", "P2", "20210106", "MR", "knee"),
        (3, "Yamada^Tarou=山田^太郎", "P3", "20200229", "CT", "Head"),
        (4, "Doe", "P11", "", "US", ""),
        (5, "Doe^Jane", "P5", "20191231", "SR", "Report"),
    ];
    let mut batch = Vec::new();
    for (study, name, id, date, modality, description) in people {
        for number in [1, 2, 10] {
            let mut object = instance(study, number);
            object.header.patient_name = Some(name.into());
            object.header.patient_id = Some(id.into());
            object.header.study_date = Some(date.into());
            object.header.study_time = Some("101500".into());
            object.header.modality = Some(modality.into());
            object.header.study_description = Some(description.into());
            if study == 1 && number == 10 {
                object.identity.series = SeriesInstanceUid::new("1.2.77");
                object.header.modality = Some("SR".into());
                object.header.series_number = Some("12".into());
            }
            batch.push(object);
        }
    }
    catalog.record(batch).unwrap();
    (folder, catalog)
}

fn ask(catalog: &Catalog, level: QueryLevel, keys: &[(&str, &str)]) -> Found {
    let keys: Vec<_> = keys.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(catalog.find(level, &keys, 100)).unwrap()
}

fn ids(found: &Found) -> Vec<&str> {
    found.rows.iter().map(|row| row.get("PatientID").unwrap()).collect()
}

#[test]
fn studies_match_by_every_kind_of_key_newest_first() {
    let (_folder, catalog) = catalog_of_five();
    let both = format!("{}\\{}", listed(1, 1).study_uid, listed(5, 1).study_uid);
    for (key, value, expected) in [
        ("PatientName", "", &["P2", "P1", "P3", "P5", "P11"][..]),
        ("PatientName", "*", &["P2", "P1", "P3", "P5", "P11"]),
        ("PatientName", "muller*", &["P2", "P1"]),
        ("PatientName", "müller^j*", &["P1"]),
        ("PatientName", "doe", &["P5", "P11"]),
        ("PatientName", "DOE^JANE", &["P5"]),
        ("PatientName", "do", &[]),
        ("PatientName", "山田^太郎", &["P3"]),
        ("PatientName", "山田*", &["P3"]),
        ("PatientName", "yamada", &["P3"]),
        ("PatientID", "P1", &["P1"]),
        ("PatientID", "P1*", &["P1", "P11"]),
        ("PatientID", "P?", &["P2", "P1", "P3", "P5"]),
        ("PatientID", "P1\\P5", &["P1", "P5"]),
        ("patientid", "P3", &["P3"]),
        ("PatientID", "P1' OR '1'='1", &[]),
        ("StudyDate", "20210105", &["P1"]),
        ("StudyDate", "20200101-20210105", &["P1", "P3"]),
        ("StudyDate", "2021-01-01-", &["P2", "P1"]),
        ("StudyDate", "-20200229", &["P3", "P5"]),
        ("StudyTime", "10-1015", &["P2", "P1", "P3", "P5", "P11"]),
        ("StudyTime", "1016-", &[]),
        ("StudyInstanceUID", &both, &["P1", "P5"]),
        ("ModalitiesInStudy", "SR", &["P1", "P5"]),
        ("ModalitiesInStudy", "MR\\US", &["P2", "P11"]),
        ("ModalitiesInStudy", "S", &[]),
        ("StudyDescription", "Knee [left]", &["P1"]),
        ("StudyDescription", "Knee [l*", &["P1"]),
        ("StudyDescription", "*nee*", &["P2", "P1"]),
        ("NumberOfStudyRelatedInstances", "3", &["P2", "P1", "P3", "P5", "P11"]),
        ("NumberOfStudyRelatedSeries", "2", &["P1"]),
        ("PatientID", "\\", &[]),
    ] {
        assert_eq!(ids(&ask(&catalog, QueryLevel::Study, &[(key, value)])), expected, "{key}={value}");
    }
    assert_eq!(
        ids(&ask(&catalog, QueryLevel::Study, &[("PatientName", "*muller*"), ("StudyDate", "20210106-")])),
        ["P2"]
    );
    let first = &ask(&catalog, QueryLevel::Study, &[("PatientID", "P1")]).rows[0];
    assert_eq!(first.get("ModalitiesInStudy"), Some("CT\\SR"));
    assert_eq!(first.get("PatientName"), Some("MÜLLER^Jürgen"));
    assert_eq!((first.get("SeriesInstanceUID"), &first.file), (None, &None));
}

#[test]
fn series_and_instances_are_found_by_keys_of_every_level() {
    let (_folder, catalog) = catalog_of_five();
    let series = ask(&catalog, QueryLevel::Series, &[("PatientID", "P1")]);
    let counts: Vec<_> = series
        .rows
        .iter()
        .map(|r| (r.get("Modality").unwrap(), r.get("NumberOfSeriesRelatedInstances").unwrap()))
        .collect();
    assert_eq!(counts, [("CT", "2"), ("SR", "1")]);
    let numbers = |keys: &[(&str, &str)]| -> Vec<String> {
        ask(&catalog, QueryLevel::Image, keys)
            .rows
            .iter()
            .map(|r| r.get("InstanceNumber").unwrap().to_owned())
            .collect()
    };
    assert_eq!(numbers(&[("PatientID", "P2")]), ["1", "2", "10"], "in the order of their numbers");
    assert_eq!(numbers(&[("SeriesInstanceUID", "1.2.77")]), ["10"]);
    assert_eq!(numbers(&[("Modality", "SR"), ("PatientID", "P1")]), ["10"]);
    assert_eq!(numbers(&[("Rows", "512"), ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2")]).len(), 15);
    let one = instance(2, 10);
    let found = ask(&catalog, QueryLevel::Image, &[("SOPInstanceUID", one.identity.instance.as_str())]);
    let file = found.rows[0].file.as_ref().unwrap();
    assert_eq!((&file.file, file.size, file.digest), (&one.place, one.file_size, one.digest));
    assert_eq!(found.rows[0].get("AvailableTransferSyntaxUID"), Some("1.2.840.10008.1.2.1"));
}

#[tokio::test]
async fn a_limit_says_that_there_is_more() {
    let (folder, catalog) = tokio::task::spawn_blocking(catalog_of_five).await.unwrap();
    let found = catalog.find(QueryLevel::Study, &[], 2).await.unwrap();
    assert_eq!((ids(&found), found.more), (vec!["P2", "P1"], true));
    assert!(!catalog.find(QueryLevel::Study, &[], 5).await.unwrap().more);
    drop(folder);
}

#[tokio::test]
async fn what_cannot_be_asked_is_explained() {
    let (_folder, catalog) = catalog();
    let ask = |level, key: &str, value: &str| {
        let (catalog, keys) = (catalog.clone(), [(key.to_owned(), value.to_owned())]);
        async move { catalog.find(level, &keys, 1).await.unwrap_err().to_string() }
    };
    assert_eq!(
        ask(QueryLevel::Study, "PatientNam", "x").await,
        "`PatientNam` is no key at STUDY level; the nearest one is PatientName"
    );
    assert!(ask(QueryLevel::Study, "SOPInstanceUID", "1").await.contains("no key at STUDY level"));
    assert!(ask(QueryLevel::Patient, "PatientID", "1").await.contains("not at PATIENT level"));
    assert!(ask(QueryLevel::Study, "StudyDate", "yesterday").await.contains("YYYYMMDD"));
    assert!(ask(QueryLevel::Study, "StudyTime", "noon").await.contains("HHMMSS"));
    assert!(ask(QueryLevel::Image, "Rows", "many").await.contains("number"));
}

#[tokio::test]
async fn what_is_not_filed_is_not_found() {
    let (_folder, catalog) = catalog();
    let mut object = instance(1, 1);
    object.destination = Destination::Quarantine { reason: "r".into() };
    object.place = stored("quarantine/aa/1.dcm");
    let recorder = catalog.clone();
    tokio::task::spawn_blocking(move || recorder.record(vec![object]).unwrap()).await.unwrap();
    for level in [QueryLevel::Study, QueryLevel::Series, QueryLevel::Image] {
        assert!(catalog.find(level, &[], 10).await.unwrap().rows.is_empty());
    }
}
