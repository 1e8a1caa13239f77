//! What stands against an operation, each with its own words.

use super::*;
use crate::catalog::{Left, ShownAs};
use crate::config::Privilege;

async fn refusals(site: &Site, request: &Request, who: &Operator) -> Vec<&'static str> {
    match site.content.plan(request, who).await {
        Ok(plan) => plan.refusals.iter().map(Refusal::code).collect(),
        Err(ContentError::Refused(refusals)) => refusals.iter().map(Refusal::code).collect(),
        Err(error) => panic!("{error}"),
    }
}

fn with(privileges: &[Privilege]) -> Operator {
    Operator { name: "ben".into(), privileges: privileges.iter().copied().collect() }
}

#[tokio::test]
async fn what_makes_no_sense_is_told() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 1).await;
    site.series(ANNA, "1.1.2", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    let all = site.all();
    let plan = async |request: Request| refusals(&site, &request, &site.all()).await;
    assert_eq!(plan(series("1.1.1", "1.1")).await, ["same-study"]);
    assert_eq!(plan(series("1.1.9", "1.2")).await, ["unknown"]);
    assert_eq!(plan(series("1.1.1", "1.9")).await, ["unknown"]);
    let both = What::Series(vec![SeriesInstanceUid::new("1.1.1"), SeriesInstanceUid::new("1.2.1")]);
    assert_eq!(plan(Request::new(both, To::New(None))).await, ["several-studies"]);
    let object = What::Instances(vec![SopInstanceUid::new("1.1.1.1"), SopInstanceUid::new("1.1.1.7")]);
    assert_eq!(plan(Request::new(object, To::New(None))).await, ["unknown"]);
    let taken = To::New(Some(StudyInstanceUid::new("1.2")));
    assert_eq!(plan(Request { to: taken, ..series("1.1.1", "1.2") }).await, ["new-study"]);
    let malformed = To::New(Some(StudyInstanceUid::new("../x")));
    assert_eq!(plan(Request { to: malformed, ..series("1.1.1", "1.2") }).await, ["new-study"]);
    // The whole of it is fine.
    assert_eq!(refusals(&site, &series("1.1.1", "1.2"), &all).await, Vec::<&str>::new());
}

#[tokio::test]
async fn privileges_locks_and_marks_stand_against_it() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    let request = series("1.1.1", "1.2");
    assert_eq!(refusals(&site, &request, &with(&[])).await, ["privilege"]);
    assert_eq!(refusals(&site, &request, &with(&[Privilege::View])).await, ["privilege", "privilege"]);
    assert_eq!(refusals(&site, &request, &with(&[Privilege::Content])).await, ["privilege"]);
    let clerk = with(&[Privilege::Content, Privilege::AcrossPatients]);
    assert_eq!(refusals(&site, &request, &clerk).await, Vec::<&str>::new());
    // A plan of somebody who may does not let somebody else do it.
    let plan = site.content.plan(&request, &site.all()).await.unwrap();
    let other = site.content.commit(&plan, &with(&[Privilege::View])).await;
    assert!(matches!(other, Err(ContentError::Refused(why)) if why.len() == 2));

    let study = StudyInstanceUid::new("1.2");
    site.content.lock(&study, "under review", &site.all()).await.unwrap();
    assert_eq!(refusals(&site, &request, &clerk).await, ["locked"]);
    assert_eq!(refusals(&site, &request, &site.all()).await, Vec::<&str>::new(), "who has locked it may");
    let theirs = site.content.unlock(&study, "", &clerk).await;
    assert!(matches!(theirs, Err(ContentError::Refused(why)) if why[0].code() == "privilege"));
    site.content.unlock(&study, "", &site.all()).await.unwrap();
    let again = site.content.unlock(&study, "", &site.all()).await;
    assert!(matches!(again, Err(ContentError::Refused(why)) if why[0].code() == "not-locked"));

    site.content.catalog.mark_cv_migrated(&study, true).await.unwrap();
    assert_eq!(refusals(&site, &request, &site.all()).await, ["cardiovascular"]);
    // The attempts are in the audit trail: one commit and two times a lock that could not be taken away.
    let trail = site.content.catalog.audit_since(0, 0, 100).await.unwrap();
    let refused: Vec<_> = trail.iter().filter(|entry| entry.outcome == 4).map(|entry| entry.who.as_str()).collect();
    assert_eq!(refused, ["ben", "ben", "anna"]);
}

#[tokio::test]
async fn what_has_left_is_not_corrected_locally_unless_forced() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    let facts = site.content.catalog.study_facts(&StudyInstanceUid::new("1.1")).await.unwrap().unwrap();
    let shown = ShownAs { series: facts.series[0].id, correction: 0 };
    let left = Left { peer: "VIEWER".into(), shown, first: 1, last: 2, instances: 1, corrected: false };
    site.content.catalog.add_departures(vec![left]).await.unwrap();
    let request = series("1.1.1", "1.2");
    assert_eq!(refusals(&site, &request, &site.all()).await, ["has-left"]);
    let forced = Request { force_local: true, ..request.clone() };
    assert_eq!(refusals(&site, &forced, &site.all()).await, Vec::<&str>::new());
    let clerk = with(&[Privilege::Content, Privilege::AcrossPatients]);
    assert_eq!(refusals(&site, &forced, &clerk).await, ["privilege"]);
    let told = Request { mode: Some(Mode::Iocm), ..request };
    let plan = site.content.plan(&told, &clerk).await.unwrap();
    assert_eq!(plan.refusals, []);
    let copies = plan.warnings.iter().find(|warning| warning.code() == "copies").unwrap();
    assert!(copies.message().contains("VIEWER"), "{}", copies.message());
}
