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
    assert!(ask(QueryLevel::Patient, "StudyID", "1").await.contains("no key at PATIENT level"));
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

/// A page of a query after the other, until its end, each `room` long: the values of the first attribute, and how many
/// pages it took.
async fn walk(catalog: &Catalog, query: Query, room: usize) -> (Vec<String>, usize) {
    let query = std::sync::Arc::new(query);
    let (mut values, mut pages, mut from) = (Vec::new(), 0, None);
    loop {
        let page = catalog.search(&query, from, room).await.unwrap();
        assert!(page.rows.len() <= room);
        values.extend(page.rows.into_iter().map(|row| row.values[0].clone()));
        pages += 1;
        from = page.next;
        if from.is_none() {
            return (values, pages);
        }
    }
}

fn query(level: QueryLevel, options: Options, keys: &[(&str, &str)]) -> Query {
    let attribute = |keyword: &str| Attribute::of(level).find(|known| known.keyword == keyword).unwrap();
    Query::new(level, options, keys.iter().map(|(keyword, value)| (attribute(keyword), *value))).unwrap()
}

#[tokio::test]
async fn pages_of_any_size_bring_every_match_once_whatever_index_they_are_read_by() {
    let (folder, catalog) = tokio::task::spawn_blocking(catalog_of_five).await.unwrap();
    let studies = format!("{}\\{}\\1.2.3", listed(2, 1).study_uid, listed(3, 1).study_uid);
    let series = format!("{}.1\\1.2.77", listed(2, 1).study_uid);
    let instances =
        [(1, 10), (2, 2), (5, 1)].map(|(study, number)| instance(study, number).identity.instance.to_string());
    let instances = instances.join("\\");
    for (level, keys, expected) in [
        (QueryLevel::Patient, &[("PatientID", "")][..], &["P1", "P11", "P2", "P3", "P5"][..]),
        (QueryLevel::Patient, &[("PatientID", ""), ("NumberOfPatientRelatedSeries", "2")], &["P1"]),
        (QueryLevel::Study, &[("PatientID", "")], &["P1", "P11", "P2", "P3", "P5"]),
        (QueryLevel::Study, &[("PatientID", "P1*")], &["P1", "P11"]),
        (QueryLevel::Study, &[("PatientID", ""), ("StudyDate", "20200101-")], &["P1", "P2", "P3"]),
        (QueryLevel::Study, &[("PatientID", ""), ("StudyInstanceUID", &studies)], &["P2", "P3"]),
        (QueryLevel::Study, &[("PatientID", ""), ("PatientName", "m*")], &["P1", "P2"]),
        (QueryLevel::Study, &[("PatientID", ""), ("PatientName", "*a*")], &["P2", "P3", "P5"]),
        (QueryLevel::Study, &[("PatientID", ""), ("SOPClassesInStudy", "1.2.3")], &[]),
        (QueryLevel::Series, &[("PatientID", "")], &["P1", "P1", "P11", "P2", "P3", "P5"]),
        (QueryLevel::Series, &[("PatientID", ""), ("PatientName", "m*")], &["P1", "P1", "P2"]),
        (QueryLevel::Series, &[("PatientID", ""), ("SeriesInstanceUID", &series)], &["P1", "P2"]),
        (QueryLevel::Image, &[("PatientID", ""), ("SeriesInstanceUID", &series)], &["P1", "P2", "P2", "P2"]),
        (QueryLevel::Image, &[("PatientID", ""), ("SOPInstanceUID", &instances)], &["P1", "P2", "P5"]),
        (
            QueryLevel::Image,
            &[("PatientID", ""), ("StudyInstanceUID", &studies)],
            &["P2", "P2", "P2", "P3", "P3", "P3"],
        ),
        (
            QueryLevel::Image,
            &[("PatientID", ""), ("InstanceNumber", "2"), ("PatientName", "*e*")],
            &["P1", "P11", "P2", "P5"],
        ),
        (
            QueryLevel::Image,
            &[("PatientID", ""), ("PatientID", "P1")],
            &["P1", "P1", "P1", "P11", "P11", "P11", "P2", "P2", "P2", "P3", "P3", "P3", "P5", "P5", "P5"],
        ),
    ] {
        for room in [1, 2, 3, 100] {
            let (mut found, pages) = walk(&catalog, query(level, Options::default(), keys), room).await;
            found.sort();
            // In "*e*" the names of Müller and Muller have it, and Doe.
            assert_eq!(found, expected, "{level} {keys:?} in pages of {room}");
            assert!(pages <= 1 + expected.len().div_ceil(room) + 1, "{pages} pages");
        }
    }
    drop(folder);
}

#[tokio::test]
async fn what_was_agreed_on_changes_what_matches() {
    let (folder, catalog) = tokio::task::spawn_blocking(catalog_of_five).await.unwrap();
    let combined = Options { combined: true, ..Options::default() };
    let fuzzy = Options { fuzzy: true, ..Options::default() };
    let study = QueryLevel::Study;
    for (options, keys, expected) in [
        (Options::default(), &[("StudyDate", "20210105-20210106"), ("StudyTime", "1100-0900")][..], &[][..]),
        (combined, &[("StudyDate", "20210105-20210106"), ("StudyTime", "1100-1200")], &["P2"]),
        (combined, &[("StudyDate", "20210105-"), ("StudyTime", "1016-")], &["P2"]),
        (Options::default(), &[("StudyDate", "20210105-"), ("StudyTime", "1016-")], &[]),
        (Options::default(), &[("PatientName", "Mueller^Jurgen")], &[]),
        (fuzzy, &[("PatientName", "Mueller^Jurgen")], &["P1"]),
        (fuzzy, &[("PatientName", "jane doe")], &["P5"]),
    ] {
        let keys: Vec<_> = [("PatientID", "")].into_iter().chain(keys.iter().copied()).collect();
        assert_eq!(walk(&catalog, query(study, options, &keys), 2).await.0, expected, "{keys:?} {options:?}");
    }
    drop(folder);
}

#[tokio::test]
async fn counts_of_patients_and_classes_of_studies_are_kept() {
    let (folder, catalog) = tokio::task::spawn_blocking(catalog_of_five).await.unwrap();
    let patients = catalog.find(QueryLevel::Patient, &[("PatientID".into(), "P1".into())], 9).await.unwrap().rows;
    let counts = ["Studies", "Series", "Instances"].map(|what| format!("NumberOfPatientRelated{what}"));
    assert_eq!(counts.each_ref().map(|keyword| patients[0].get(keyword).unwrap()), ["1", "2", "3"]);
    let studies = catalog.find(QueryLevel::Study, &[("PatientID".into(), "P1".into())], 9).await.unwrap().rows;
    assert_eq!(studies[0].get("SOPClassesInStudy"), Some("1.2.840.10008.5.1.4.1.1.2"));
    drop(folder);
}

#[test]
fn a_query_that_finds_little_looks_at_much_in_pages_that_end() {
    let (_folder, catalog) = catalog();
    synthetic::fill(&catalog, 9000, 1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let rare = query(QueryLevel::Study, Options::default(), &[("StudyInstanceUID", ""), ("StudyID", "nowhere")]);
    assert_eq!(runtime.block_on(walk(&catalog, rare, 100)), (vec![], 3));
    let last = listed(9000, 1).patient_id;
    let keys = [("StudyInstanceUID", ""), ("PatientID", last.as_str()), ("StudyDate", "18000101-")];
    let one = query(QueryLevel::Study, Options::default(), &keys);
    assert_eq!(runtime.block_on(walk(&catalog, one, 100)), (vec![listed(9000, 1).study_uid.to_string()], 1));
}

#[test]
fn each_level_has_one_unique_key_and_no_attribute_stands_twice() {
    for level in [QueryLevel::Patient, QueryLevel::Study, QueryLevel::Series, QueryLevel::Image] {
        let unique = ATTRIBUTES.iter().filter(|known| known.level == level && known.key == KeyType::Unique);
        assert_eq!(unique.map(|known| known.tag).collect::<Vec<_>>(), [Attribute::unique(level)]);
        let names =
            ATTRIBUTES.iter().filter(|known| known.level == level && known.compared == Compared::Person).count();
        assert!(names <= 1, "a level has room for one folded name");
    }
    let tags: std::collections::BTreeSet<_> = ATTRIBUTES.iter().map(|known| known.tag).collect();
    assert_eq!(tags.len(), ATTRIBUTES.len());
    use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
    for known in ATTRIBUTES {
        let entry = dicom_dictionary_std::StandardDataDictionary.by_tag(known.tag).unwrap();
        assert_eq!((entry.alias(), entry.vr().relaxed().to_string().as_bytes()), (known.keyword, &known.vr[..]));
    }
}
