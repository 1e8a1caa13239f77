//! Cost stays flat: a catalog with many studies claims, files and reports one as fast as an empty one.
//!
//! `PACSFERRY_SCALE` says how many studies the large catalog has (ten instances each); the promise is made for a million.

use std::path::Path;
use std::time::{Duration, Instant};

use pacsferry::catalog::{Catalog, ItemState, ItemUpdate, Recorded, synthetic};

/// Instances of a study.
const PER_STUDY: u32 = 10;
/// Studies that are claimed, filed and reported in each catalog, in turn.
const ROUNDS: usize = 150;
/// What is promised.
const FACTOR: f64 = 1.3;
/// Measured again when the machine was busy elsewhere.
const TRIES: usize = 4;

const STEPS: [&str; 3] = ["claim", "record", "report"];

struct Subject {
    catalog: Catalog,
    job: i64,
    /// The first study that is not filed yet.
    next: u64,
}

/// A catalog of that many filed studies, and a job over as many more that are not.
async fn subject(path: &Path, studies: u64) -> Subject {
    let catalog = Catalog::open(path).unwrap();
    let filling = catalog.clone();
    tokio::task::spawn_blocking(move || synthetic::fill(&filling, studies, PER_STUDY).unwrap()).await.unwrap();
    let listed = studies.max((ROUNDS * TRIES) as u64);
    let job = synthetic::job(&catalog, studies + 1, listed, PER_STUDY).await.unwrap().id;
    Subject { catalog, job, next: studies + 1 }
}

/// Takes one study through, and says how long each step took.
async fn round(subject: &mut Subject) -> [Duration; 3] {
    let Subject { catalog, job, next } = subject;
    let (job, study) = (*job, *next);
    *next += 1;
    let batch: Vec<_> = (1..=PER_STUDY).map(|number| synthetic::instance(study, number)).collect();

    let start = Instant::now();
    let item = catalog.claim(job, "scale", Duration::from_secs(600)).await.unwrap().expect("there are enough studies");
    let claimed = start.elapsed();

    let start = Instant::now();
    let recorder = catalog.clone();
    let recorded = tokio::task::spawn_blocking(move || recorder.record(batch).unwrap()).await.unwrap();
    let filed = start.elapsed();
    assert!(recorded.iter().all(|outcome| *outcome == Recorded::New));

    let start = Instant::now();
    let uid = synthetic::listed(study, PER_STUDY).study_uid;
    assert_eq!(catalog.filed_of_study(&uid).await.unwrap().len(), PER_STUDY as usize);
    assert_eq!(catalog.receipts_of_study(synthetic::SOURCE, &uid).await.unwrap().len(), PER_STUDY as usize);
    assert!(catalog.last_arrival(synthetic::SOURCE, &uid).await.unwrap().is_some());
    assert!(catalog.totals(job).await.unwrap().objects.filed > 0);
    assert!(catalog.newest_pending(job).await.unwrap().is_some());
    assert!(!catalog.items(job, &[], None, 20).await.unwrap().is_empty());
    let reported = start.elapsed();

    assert!(catalog.update_item(item.id, item.fence, ItemUpdate::to(ItemState::Proven, 1)).await.unwrap());
    [claimed, filed, reported]
}

/// The median time of each step in both catalogs, taken in turn so that both see the same minute of the machine.
async fn medians(subjects: &mut [Subject; 2]) -> [[Duration; 3]; 2] {
    let mut times: [[Vec<Duration>; 3]; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (subject, times) in subjects.iter_mut().zip(&mut times) {
            for (time, times) in round(subject).await.into_iter().zip(times) {
                times.push(time);
            }
        }
    }
    times.map(|steps| {
        steps.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        })
    })
}

#[tokio::test]
async fn a_large_catalog_is_as_fast_as_an_empty_one() {
    let studies =
        std::env::var("PACSFERRY_SCALE").map_or(20_000, |text| text.parse().expect("PACSFERRY_SCALE is a number"));
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut subjects =
        [subject(&folder.path().join("empty.db"), 0).await, subject(&folder.path().join("large.db"), studies).await];
    println!(
        "{studies} studies, {} instances, made in {:.0} s",
        studies * u64::from(PER_STUDY),
        start.elapsed().as_secs_f64()
    );
    let mut ratios = [f64::INFINITY; 3];
    for _ in 0..TRIES {
        let [empty, large] = medians(&mut subjects).await;
        for (step, name) in STEPS.iter().enumerate() {
            let ratio = large[step].as_secs_f64() / empty[step].as_secs_f64();
            println!(
                "{name:>8}: {:>9.1?} in an empty catalog, {:>9.1?} in the large one: {ratio:.2}",
                empty[step], large[step]
            );
            ratios[step] = ratios[step].min(ratio);
        }
        if ratios.iter().all(|ratio| *ratio <= FACTOR) {
            return;
        }
    }
    panic!("not flat: {ratios:.2?} for {STEPS:?}, {FACTOR} is promised");
}
