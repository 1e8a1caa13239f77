//! The catalog in a real file: jobs and their items; the rest in files of its own.

use std::time::Duration;

use super::synthetic::{self, SOURCE, instance, listed};
use super::*;
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
use crate::store::Destination;

mod correcting;
mod filing;
mod leasing;
mod losing;
mod outbox;
mod plans;
mod progress;
mod queries;
mod selecting;

const LONG: Duration = Duration::from_secs(60);

/// A lease that has run out when the next statement looks at it.
const OVER: Duration = Duration::ZERO;

/// A place in the storage folder.
fn stored(place: &str) -> crate::store::Place {
    crate::store::RelativePath::parse(place).unwrap().into()
}

fn catalog() -> (tempfile::TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
    (folder, catalog)
}

fn spec() -> JobSpec {
    JobSpec {
        kind: JobKind::Migration,
        source: Some(SOURCE.into()),
        from: None,
        to: None,
        studies: vec![],
        modalities: vec![],
        follow: None,
        import: None,
    }
}

async fn job_of(catalog: &Catalog, studies: u64) -> Job {
    synthetic::job(catalog, 1, studies, 3).await.unwrap()
}

fn missing(n: u32) -> (SeriesInstanceUid, SopInstanceUid) {
    (SeriesInstanceUid::new("1.2.3"), SopInstanceUid::new(&format!("1.2.3.{n}")))
}

#[tokio::test]
async fn a_job_is_read_back_as_it_was_made() {
    let (_folder, catalog) = catalog();
    let spec = JobSpec {
        from: "20200101".parse().ok(),
        to: "20201231".parse().ok(),
        studies: vec![StudyInstanceUid::new("1.2"), StudyInstanceUid::new("1.3")],
        modalities: vec!["CT".into(), "MR".into()],
        follow: Some(Duration::from_secs(900)),
        ..spec()
    };
    let job = catalog.create_job(&spec).await.unwrap();
    assert_eq!((job.state, job.control, job.started, job.enumerated), (JobState::Running, Control::Run, None, false));
    assert_eq!(job.spec, spec);
    assert_eq!(catalog.job(job.id).await.unwrap().as_ref(), Some(&job));
    assert_eq!(catalog.last_job().await.unwrap().as_ref(), Some(&job));
    assert_eq!(catalog.job(job.id + 1).await.unwrap(), None);
    assert_eq!(catalog.totals(job.id).await.unwrap(), Totals::default());
    let import = JobSpec { kind: JobKind::Import, source: None, ..spec.clone() };
    let import = catalog.create_job(&import).await.unwrap();
    assert_eq!((import.spec.kind, import.spec.source), (JobKind::Import, None));
    assert_eq!(catalog.jobs().await.unwrap().iter().map(|j| j.id).collect::<Vec<_>>(), [import.id, job.id]);
}

#[tokio::test]
async fn the_same_command_goes_on_with_its_job_until_that_is_over() {
    let (_folder, catalog) = catalog();
    let listed_as = |order: [&str; 2]| JobSpec { modalities: order.map(str::to_owned).to_vec(), ..spec() };
    let job = catalog.create_job(&listed_as(["MR", "CT"])).await.unwrap();
    let found = catalog.unfinished_like(&listed_as(["CT", "MR"])).await.unwrap().unwrap();
    assert_eq!(found.id, job.id);
    assert_eq!(catalog.unfinished_like(&spec()).await.unwrap(), None);
    for (state, found) in
        [(JobState::Paused, true), (JobState::Halted, true), (JobState::Finished, false), (JobState::Cancelled, false)]
    {
        catalog.set_job_state(job.id, state, None).await.unwrap();
        assert_eq!(catalog.unfinished_like(&listed_as(["CT", "MR"])).await.unwrap().is_some(), found, "{state:?}");
    }
}

#[tokio::test]
async fn the_times_of_a_job_follow_its_states() {
    let (_folder, catalog) = catalog();
    let id = catalog.create_job(&spec()).await.unwrap().id;
    catalog.set_job_state(id, JobState::Running, None).await.unwrap();
    let started = catalog.job(id).await.unwrap().unwrap().started.unwrap();
    catalog.set_job_state(id, JobState::Halted, Some("register FERRY_RX at the old PACS")).await.unwrap();
    let halted = catalog.job(id).await.unwrap().unwrap();
    assert_eq!((halted.message.as_deref(), halted.ended), (Some("register FERRY_RX at the old PACS"), None));
    catalog.set_job_state(id, JobState::Finished, None).await.unwrap();
    assert!(catalog.job(id).await.unwrap().unwrap().ended.is_some());
    catalog.set_job_state(id, JobState::Running, None).await.unwrap();
    let again = catalog.job(id).await.unwrap().unwrap();
    assert_eq!((again.started, again.ended, again.message), (Some(started), None, None));
    catalog.set_control(id, Control::Pause).await.unwrap();
    catalog.set_enumerated(id, true).await.unwrap();
    let job = catalog.job(id).await.unwrap().unwrap();
    assert!(job.enumerated && job.control == Control::Pause);
    assert!(matches!(catalog.set_control(99, Control::Run).await, Err(CatalogError::NoSuchJob(99))));
    assert!(matches!(catalog.set_job_state(99, JobState::Running, None).await, Err(CatalogError::NoSuchJob(99))));
}

#[tokio::test]
async fn notes_meta_profiles_and_plans_are_kept() {
    let (_folder, catalog) = catalog();
    let id = catalog.create_job(&spec()).await.unwrap().id;
    for text in ["20210101 could not be listed", "20210101 could not be listed", "a row without Study UID"] {
        catalog.append_note(id, "enumeration", text).await.unwrap();
    }
    let notes = catalog.notes(id).await.unwrap();
    assert_eq!(
        notes.iter().map(|n| n.text.as_str()).collect::<Vec<_>>(),
        ["20210101 could not be listed", "a row without Study UID"]
    );
    assert_eq!(catalog.meta_get("storage").await.unwrap(), None);
    catalog.meta_set("storage", "a").await.unwrap();
    catalog.meta_set("storage", "b").await.unwrap();
    assert_eq!(catalog.meta_get("storage").await.unwrap().as_deref(), Some("b"));
    assert_eq!(catalog.source_profile("nobody").await.unwrap(), None);
    catalog.set_source_profile(SOURCE, "{\"cap\":500}").await.unwrap();
    assert_eq!(catalog.source_profile(SOURCE).await.unwrap().as_deref(), Some("{\"cap\":500}"));

    assert_eq!(catalog.plan_state(id).await.unwrap(), None);
    catalog.add_windows(id, vec![(10, "2021".into()), (20, "2020".into())]).await.unwrap();
    let first = catalog.next_window(id).await.unwrap().unwrap();
    assert_eq!((first.seq, first.keys.as_str(), first.state), (10, "2021", WindowState::Pending));
    let parts = vec![(11, "2021-07".to_owned()), (12, "2021-01".to_owned())];
    catalog
        .finish_window(id, first.id, WindowState::Split, Some(500), "500 rows", parts, Some("{}".into()))
        .await
        .unwrap();
    assert_eq!(catalog.plan_state(id).await.unwrap().as_deref(), Some("{}"));
    assert_eq!(catalog.window_counts(id).await.unwrap(), (3, 4));
    let mut order = Vec::new();
    while let Some(window) = catalog.next_window(id).await.unwrap() {
        order.push(window.seq);
        catalog.finish_window(id, window.id, WindowState::Listed, Some(1), "", vec![], None).await.unwrap();
    }
    assert_eq!(order, [11, 12, 20]);
    assert_eq!(
        catalog.windows(id).await.unwrap().iter().map(|w| w.state).filter(|s| *s == WindowState::Split).count(),
        1
    );
}

#[tokio::test]
async fn a_listed_study_is_one_item_however_often_it_is_listed() {
    let (_folder, catalog) = catalog();
    let id = catalog.create_job(&spec()).await.unwrap().id;
    assert_eq!(catalog.add_studies(id, (1..=5).map(|n| listed(n, 3)).collect()).await.unwrap(), 5);
    assert_eq!(catalog.add_studies(id, (4..=7).map(|n| listed(n, 3)).collect()).await.unwrap(), 2);
    let totals = catalog.totals(id).await.unwrap();
    assert_eq!((totals.items.total, totals.items.listed, totals.objects.listed), (7, 7, 21));

    let other = ListedStudy { patient_id: "SOMEBODY ELSE".into(), ..listed(1, 3) };
    assert_eq!(catalog.add_studies(id, vec![other.clone(), other.clone()]).await.unwrap(), 0);
    let item = catalog.item_of_study(id, &other.study_uid).await.unwrap().unwrap();
    assert!(item.conflict && item.study == listed(1, 3), "the first row stays, the item is marked");
    assert_eq!(catalog.other_rows(item.id).await.unwrap(), [other]);
    let same_patient = ListedStudy { description: "again".into(), ..listed(2, 3) };
    catalog.add_studies(id, vec![same_patient.clone()]).await.unwrap();
    let item = catalog.item_of_study(id, &same_patient.study_uid).await.unwrap().unwrap();
    assert!(!item.conflict && catalog.other_rows(item.id).await.unwrap().len() == 1);
}

#[tokio::test]
async fn a_proven_study_that_grows_is_listed_again_once() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 1).await.id;
    let item = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
    let proven = ItemUpdate {
        evidence: Some(Evidence::Count),
        listed: Some(3),
        filed: Some(3),
        ..ItemUpdate::to(ItemState::Proven, 1)
    };
    assert!(catalog.update_item(item.id, item.fence, proven.clone()).await.unwrap());
    assert_eq!(catalog.totals(id).await.unwrap().items.proven_by_count, 1);
    assert_eq!(catalog.add_studies(id, vec![listed(1, 3), listed(1, 2)]).await.unwrap(), 0);
    assert_eq!(catalog.add_studies(id, vec![listed(1, 4)]).await.unwrap(), 1);
    let totals = catalog.totals(id).await.unwrap();
    assert_eq!(
        (totals.items.listed, totals.items.proven, totals.items.proven_by_count, totals.objects.listed),
        (1, 0, 0, 4)
    );
    // A source that always tells one too many does not keep the job going for ever.
    let item = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
    catalog.update_item(item.id, item.fence, proven).await.unwrap();
    assert_eq!(catalog.add_studies(id, vec![listed(1, 4)]).await.unwrap(), 0);
}

#[tokio::test]
async fn fallout_can_be_tried_again() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 4).await.id;
    for (state, reason) in [
        (ItemState::Partial, Reason::ShortCount),
        (ItemState::Failed, Reason::SourceOffline),
        (ItemState::Failed, Reason::SourceOffline),
        (ItemState::Proven, Reason::OverCount),
    ] {
        let item = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
        let reason = (state != ItemState::Proven).then_some(reason);
        let update = ItemUpdate { reason, detail: "A702: no".into(), ..ItemUpdate::to(state, 5) };
        assert!(catalog.update_item(item.id, item.fence, update).await.unwrap());
    }
    assert_eq!(catalog.claim(id, "me", LONG).await.unwrap(), None);
    let failed = catalog.items(id, &[ItemState::Failed], None, 10).await.unwrap();
    assert_eq!(
        failed.iter().map(|i| (i.reason, i.detail.as_str(), i.attempt)).collect::<Vec<_>>(),
        [(Some(Reason::SourceOffline), "A702: no", 5); 2]
    );
    assert_eq!(catalog.retry_items(id, Retry::Reason(Reason::SourceOffline)).await.unwrap(), 2);
    assert_eq!(catalog.retry_items(id, Retry::All).await.unwrap(), 1);
    assert_eq!(catalog.retry_items(id, Retry::All).await.unwrap(), 0);
    let totals = catalog.totals(id).await.unwrap().items;
    assert_eq!((totals.listed, totals.proven, totals.pending(), totals.fallout()), (3, 1, 3, 0));
    let item = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
    assert_eq!((item.attempt, item.reason, item.detail.as_str()), (0, None, ""));
}

#[tokio::test]
async fn studies_are_excluded_taken_in_again_and_cancelled() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 3).await.id;
    let item = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
    let study = item.study.study_uid.clone();
    assert!(catalog.exclude(id, &study, "a test patient").await.unwrap());
    assert!(!catalog.exclude(id, &StudyInstanceUid::new("9.9"), "unknown").await.unwrap());
    let late = ItemUpdate::to(ItemState::Proven, 1);
    assert!(!catalog.update_item(item.id, item.fence, late).await.unwrap(), "whoever worked on it has lost it");
    let item = catalog.item_of_study(id, &study).await.unwrap().unwrap();
    assert_eq!(
        (item.state, item.reason, item.detail.as_str()),
        (ItemState::Excluded, Some(Reason::ExcludedByOperator), "a test patient")
    );
    assert_eq!(catalog.retry_items(id, Retry::All).await.unwrap(), 0);
    assert_eq!(catalog.retry_items(id, Retry::Study(study)).await.unwrap(), 1);
    assert_eq!(catalog.cancel_items(id).await.unwrap(), 3);
    let totals = catalog.totals(id).await.unwrap().items;
    assert_eq!((totals.cancelled, totals.total, totals.pending()), (3, 3, 0));
}

#[tokio::test]
async fn items_are_read_page_by_page_newest_first_over_all_states() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 25).await.id;
    catalog.add_studies(id, vec![ListedStudy::of(StudyInstanceUid::new("1.9"))]).await.unwrap();
    for state in [ItemState::Proven, ItemState::Failed, ItemState::Waiting, ItemState::Pulling] {
        let item = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
        let far = (state == ItemState::Waiting).then(|| codes::now() + 3_600_000);
        catalog.update_item(item.id, item.fence, ItemUpdate { due: far, ..ItemUpdate::to(state, 1) }).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = catalog.items(id, &[], after.take(), 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.order_key());
        seen.extend(page);
    }
    assert_eq!(seen.len(), 26);
    let days: Vec<_> = seen.iter().map(|i| i.study.study_date_raw.clone()).collect();
    assert!(days.is_sorted_by(|a, b| a >= b), "{days:?}");
    assert_eq!(seen.last().unwrap().study.study_uid.as_str(), "1.9", "those without a date come last");
    assert_eq!(catalog.items(id, &[ItemState::Waiting, ItemState::Failed], None, 10).await.unwrap().len(), 2);
    assert_eq!(catalog.items(id, &[ItemState::Proven], None, 10).await.unwrap().len(), 1);
    assert_eq!(catalog.newest_pending(id).await.unwrap().as_deref(), Some("20240101"));
    catalog.cancel_items(id).await.unwrap();
    assert_eq!(catalog.newest_pending(id).await.unwrap(), None);
}
