//! What is kept for the pictures and the report of a job: days, reasons, approvals, pace.

use super::super::days::{DAYS, MONTHS, REASONS};
use super::super::{approvals, pace};
use super::plans::{is_flat, plan};
use super::*;
use crate::dicom::Date;

async fn end(catalog: &Catalog, job: i64, state: ItemState, reason: Option<Reason>) -> Item {
    let item = catalog.claim(job, "test", LONG).await.unwrap().unwrap();
    let update = ItemUpdate { reason, ..ItemUpdate::to(state, 1) };
    assert!(catalog.update_item(item.id, item.fence, update).await.unwrap());
    item
}

/// What the kept counts say, counted anew from the items.
async fn counted(catalog: &Catalog, job: i64) -> (DayTotals, u64) {
    let (mut all, mut reasons) = (DayTotals::default(), 0);
    for item in catalog.items(job, &[], None, 10_000).await.unwrap() {
        match item.state {
            ItemState::Proven => all.proven += 1,
            ItemState::Partial | ItemState::Failed => all.fallout += 1,
            ItemState::Excluded | ItemState::Cancelled => all.apart += 1,
            _ => all.pending += 1,
        }
        let told = matches!(item.state, ItemState::Partial | ItemState::Failed | ItemState::Excluded);
        reasons += u64::from(told && item.reason.is_some());
    }
    (all, reasons)
}

async fn kept(catalog: &Catalog, job: i64) -> (DayTotals, u64) {
    let mut all = DayTotals::default();
    catalog.months(job).await.unwrap().iter().for_each(|(_, totals)| all.add(totals));
    let reasons = catalog.fallout_reasons(job).await.unwrap();
    (all, reasons.iter().map(|(_, count)| count).sum())
}

#[tokio::test]
async fn days_and_reasons_are_kept_whatever_becomes_of_the_items() {
    let (_folder, catalog) = catalog();
    let job = job_of(&catalog, 300).await.id;
    assert_eq!(kept(&catalog, job).await, counted(&catalog, job).await);
    end(&catalog, job, ItemState::Proven, None).await;
    let failed = end(&catalog, job, ItemState::Failed, Some(Reason::TimedOut)).await;
    end(&catalog, job, ItemState::Partial, Some(Reason::ShortCount)).await;
    end(&catalog, job, ItemState::Waiting, Some(Reason::SourceOffline)).await;
    let excluded = end(&catalog, job, ItemState::Failed, Some(Reason::TimedOut)).await;
    assert!(catalog.exclude(job, &excluded.study.study_uid, "").await.unwrap());
    assert_eq!(kept(&catalog, job).await, counted(&catalog, job).await);
    let reasons = catalog.fallout_reasons(job).await.unwrap();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    catalog.retry_items(job, Retry::Study(failed.study.study_uid)).await.unwrap();
    catalog.cancel_items(job).await.unwrap();
    let (all, _) = kept(&catalog, job).await;
    assert_eq!((all.pending, all.proven, all.fallout, all.total()), (0, 1, 1, 300));
    assert_eq!(kept(&catalog, job).await, counted(&catalog, job).await);
    let days = catalog.days_of_year(job, 2023).await.unwrap();
    assert!(days.iter().all(|(day, totals)| day.starts_with("2023") && totals.total() > 0) && !days.is_empty());
}

#[tokio::test]
async fn an_approval_holds_as_long_as_the_study_stays_as_it_is() {
    let (_folder, catalog) = catalog();
    let job = job_of(&catalog, 3).await.id;
    let failed = end(&catalog, job, ItemState::Failed, Some(Reason::TimedOut)).await;
    let proven = end(&catalog, job, ItemState::Proven, None).await;
    let approve =
        async |item: &Item| catalog.approve(job, &item.study.study_uid, "anna", "a test patient").await.unwrap();
    assert_eq!(approve(&proven).await, Some(Err(ItemState::Proven)));
    assert_eq!(catalog.approve(job, &StudyInstanceUid::new("1.2"), "anna", "x").await.unwrap(), None);
    let agreed = approve(&failed).await.unwrap().unwrap();
    assert_eq!(Agreement::of(agreed.entry()).as_ref(), Some(&agreed), "as the journal tells it");
    let approval = agreed.approval;
    assert_eq!((approval.operator.as_str(), approval.why.as_str()), ("anna", "a test patient"));
    let items = catalog.items(job, &[], None, 10).await.unwrap();
    let all = catalog.approvals_of(&items).await.unwrap();
    assert_eq!((all.len(), &all[&failed.id]), (1, &approval));
    assert_eq!(catalog.approved(job).await.unwrap(), Approved { behind: 1, approved: 1 });
    catalog.retry_items(job, Retry::All).await.unwrap();
    assert_eq!(catalog.approved(job).await.unwrap(), Approved { behind: 0, approved: 0 });
    end(&catalog, job, ItemState::Failed, Some(Reason::TimedOut)).await;
    assert_eq!(catalog.approved(job).await.unwrap(), Approved { behind: 1, approved: 0 }, "it is another failure");
}

#[tokio::test]
async fn an_approval_outlives_the_catalog_while_the_study_stays_behind_for_the_same_reason() {
    let (_folder, catalog) = catalog();
    let job = job_of(&catalog, 3).await.id;
    let mut agreed = Vec::new();
    for _ in 0..3 {
        let item = end(&catalog, job, ItemState::Failed, Some(Reason::TimedOut)).await;
        agreed.push(
            catalog.approve(job, &item.study.study_uid, "anna", "a test patient").await.unwrap().unwrap().unwrap(),
        );
    }
    let (_folder, new) = self::catalog();
    for agreed in agreed.clone() {
        let new = new.clone();
        tokio::task::spawn_blocking(move || new.replay_approval(agreed)).await.unwrap().unwrap();
    }
    let job = job_of(&new, 3).await.id;
    let same = end(&new, job, ItemState::Failed, Some(Reason::TimedOut)).await;
    end(&new, job, ItemState::Failed, Some(Reason::ShortCount)).await;
    end(&new, job, ItemState::Proven, None).await;
    let items = new.items(job, &[], None, 10).await.unwrap();
    let all = new.approvals_of(&items).await.unwrap();
    assert_eq!((all.len(), &all[&same.id]), (1, &agreed[0].approval));
    assert_eq!(new.approved(job).await.unwrap(), Approved { behind: 2, approved: 1 });
    // What was tried again takes a new one, as ever; and so does what had become of it otherwise.
    new.retry_items(job, Retry::All).await.unwrap();
    for _ in 0..2 {
        end(&new, job, ItemState::Failed, Some(Reason::TimedOut)).await;
    }
    assert_eq!(new.approved(job).await.unwrap(), Approved { behind: 2, approved: 0 });
}

#[tokio::test]
async fn the_pace_of_a_job_and_the_limits_of_its_source_are_kept() {
    let (_folder, catalog) = catalog();
    let job = job_of(&catalog, 1).await.id;
    catalog.note_load(job, 2, 4, Some(1000)).await.unwrap();
    catalog.note_load(job, 1, 3, None).await.unwrap();
    for span in [Span::Minute, Span::Hour] {
        let pace = catalog.pace(job, span, 0).await.unwrap();
        let last = pace.last().unwrap();
        // A minute may have ended in between.
        assert!(pace.iter().any(|p| p.held == 2) && (last.most, last.rate) == (Some(3), None), "{pace:?}");
    }
    assert_eq!(catalog.slowed(SOURCE).await.unwrap(), None);
    let until = super::super::codes::now() + 60_000;
    let slowed = Slowed { until, associations: 1, rate: Some(5), operator: "anna".into() };
    catalog.slow(SOURCE, Some(slowed.clone())).await.unwrap();
    assert_eq!(catalog.slowed(SOURCE).await.unwrap(), Some(slowed.clone()));
    catalog.slow(SOURCE, Some(Slowed { until: 1, ..slowed })).await.unwrap();
    assert_eq!(catalog.slowed(SOURCE).await.unwrap(), None, "its time is over");
    catalog.slow(SOURCE, None).await.unwrap();
}

#[test]
fn what_is_drawn_is_read_without_looking_at_items() {
    let (_folder, catalog) = catalog();
    catalog
        .db
        .read_blocking(|c| {
            for sql in [DAYS, MONTHS, REASONS, approvals::COUNT, pace::PACE, pace::FORGET_PACE, pace::SLOWED] {
                let steps = plan(c, sql);
                let flat = |step: &String| is_flat(step) || step.starts_with("SCAN CONSTANT") || sql == MONTHS;
                assert!(
                    steps.iter().all(flat) && !steps.iter().any(|step| step.contains(" items")),
                    "{sql}\n{steps:#?}"
                );
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_place_before_a_day_lies_after_all_later_ones() {
    let key = |text: &str| OrderKey::before(Date::parse(text).unwrap());
    assert!(key("20240102") < key("20240101"));
    assert_eq!(OrderKey::parse(&key("20240102").text()), Some(key("20240102")));
    assert_eq!(OrderKey::parse("nowhere"), None);
}
