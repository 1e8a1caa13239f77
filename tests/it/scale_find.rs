//! A page of a query costs the same in a large archive as in a small one, by whatever key it is asked for.
//!
//! `PACSFERRY_SCALE` says how many studies the large catalog has; the promise is made for a million, against ten thousand.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pacsferry::catalog::{Attribute, Catalog, Options, Query, synthetic};
use pacsferry::dicom::{QueryLevel, Tag, tags};

/// Studies of the small catalog.
const SMALL: u64 = 10_000;
/// Answers of a page.
const PAGE: usize = 100;
/// Pages that are read of each catalog in turn.
const ROUNDS: u64 = 200;
/// What is promised.
const FACTOR: f64 = 1.5;
/// Measured again when the machine was busy elsewhere.
const TRIES: usize = 4;

struct Subject {
    catalog: Catalog,
    studies: u64,
}

async fn subject(path: &Path, studies: u64) -> Subject {
    let catalog = Catalog::open(path).unwrap();
    let filling = catalog.clone();
    tokio::task::spawn_blocking(move || synthetic::fill(&filling, studies, 1).unwrap()).await.unwrap();
    Subject { catalog, studies }
}

/// A query by one key, with what a viewer wants to be told.
fn query((key, value): (Tag, &str)) -> Arc<Query> {
    let shown = [
        tags::STUDY_INSTANCE_UID,
        tags::STUDY_DATE,
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::MODALITIES_IN_STUDY,
        tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
    ];
    let others = shown.into_iter().filter(|tag| *tag != key).map(|tag| (tag, ""));
    let keys = [(key, value)].into_iter().chain(others);
    let keys = keys.map(|(tag, value)| (Attribute::at(QueryLevel::Study, tag).unwrap(), value));
    Arc::new(Query::new(QueryLevel::Study, Options::default(), keys).unwrap())
}

/// The keys of a round, by kind: a name of which there are many, one patient, one day.
fn keys(subject: &Subject, round: u64) -> [(&'static str, (Tag, String)); 4] {
    let study = synthetic::listed(1 + round * 7919 % subject.studies, 1);
    // Names are `Synthetic^` and a number: two digits leave a hundredth, of which even the small catalog has a page.
    let name = format!("synthetic^{}*", 11 + round % 29);
    [
        ("name", (tags::PATIENT_NAME, name)),
        ("patient", (tags::PATIENT_ID, study.patient_id)),
        ("day", (tags::STUDY_DATE, study.study_date_raw)),
        ("latest", (tags::STUDY_DATE, "18000101-".into())),
    ]
}

/// The median time of a page by each kind of key in both catalogs, read in turn so that both see the same minute.
async fn medians(subjects: &[Subject; 2]) -> [[Duration; 4]; 2] {
    let mut times: [[Vec<Duration>; 4]; 2] = Default::default();
    for round in 0..ROUNDS {
        for (subject, times) in subjects.iter().zip(&mut times) {
            for ((_, (tag, value)), times) in keys(subject, round).into_iter().zip(times) {
                let query = query((tag, &value));
                let start = Instant::now();
                let page = subject.catalog.search(&query, None, PAGE).await.unwrap();
                times.push(start.elapsed());
                assert!(!page.rows.is_empty(), "{tag} {value}");
                assert!(tag == tags::PATIENT_ID || page.rows.len() >= 50, "{tag} {value}: {}", page.rows.len());
            }
        }
    }
    times.map(|kinds| {
        kinds.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        })
    })
}

#[tokio::test]
async fn a_page_costs_the_same_in_a_large_archive() {
    let studies =
        std::env::var("PACSFERRY_SCALE").map_or(50_000, |text| text.parse().expect("PACSFERRY_SCALE is a number"));
    let folder = tempfile::tempdir().unwrap();
    let subjects = [
        subject(&folder.path().join("small.db"), SMALL).await,
        subject(&folder.path().join("large.db"), studies).await,
    ];
    let names = keys(&subjects[0], 0).map(|(name, _)| name);
    let mut ratios = [f64::INFINITY; 4];
    for _ in 0..TRIES {
        let [small, large] = medians(&subjects).await;
        for (kind, name) in names.iter().enumerate() {
            let ratio = large[kind].as_secs_f64() / small[kind].as_secs_f64();
            println!(
                "{name:>8}: {:>9.1?} of {SMALL} studies, {:>9.1?} of {studies}: {ratio:.2}",
                small[kind], large[kind]
            );
            ratios[kind] = ratios[kind].min(ratio);
        }
        if ratios.iter().all(|ratio| *ratio <= FACTOR) {
            return;
        }
    }
    panic!("not flat: {ratios:.2?} for {names:?}, {FACTOR} is promised");
}
