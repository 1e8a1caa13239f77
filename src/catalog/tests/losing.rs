//! Files that are gone or damaged: what counted with them counts no more.

use super::*;
use crate::dicom::QueryLevel;
use crate::store::{Digest, Place, RelativePath};

async fn record(catalog: &Catalog, batch: Vec<NewInstance>) -> Vec<Recorded> {
    let catalog = catalog.clone();
    tokio::task::spawn_blocking(move || catalog.record(batch).unwrap()).await.unwrap()
}

/// A job of one study of two objects, which is proven; with the study.
async fn proven(catalog: &Catalog) -> (i64, Item) {
    let job = synthetic::job(catalog, 1, 1, 2).await.unwrap().id;
    let item = catalog.claim(job, "me", LONG).await.unwrap().unwrap();
    record(catalog, vec![instance(1, 1), instance(1, 2)]).await;
    let proven = ItemUpdate {
        evidence: Some(Evidence::Instances),
        listed: Some(2),
        filed: Some(2),
        ..ItemUpdate::to(ItemState::Proven, 1)
    };
    assert!(catalog.update_item(item.id, item.fence, proven).await.unwrap());
    (job, catalog.item(item.id).await.unwrap().unwrap())
}

async fn files(catalog: &Catalog, study: &StudyInstanceUid) -> Vec<KnownFile> {
    catalog.files_of_study(study, None, 100).await.unwrap()
}

async fn counted(catalog: &Catalog) -> (i64, i64, i64) {
    let sql = "SELECT st.instances, st.series, se.instances FROM studies st JOIN series se ON se.study = st.id";
    catalog.read(move |c| Ok(c.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)).await.unwrap()
}

#[tokio::test]
async fn an_object_whose_file_is_gone_counts_no_more_until_it_comes_again() {
    let (_folder, catalog) = catalog();
    let (job, item) = proven(&catalog).await;
    let study = item.study.study_uid.clone();
    let first = files(&catalog, &study).await.remove(0);
    assert_eq!(catalog.lose(first.clone(), None, "gone").await.unwrap(), Lost::Instance(vec![job]));

    assert_eq!(catalog.existing(&first.instance).unwrap(), None);
    assert_eq!(catalog.filed_of_study(&study).await.unwrap().len(), 1);
    assert_eq!(counted(&catalog).await, (1, 1, 1));
    let found = catalog.find(QueryLevel::Image, &[], 10).await.unwrap();
    assert_eq!(found.rows.len(), 1);
    let now = catalog.item(item.id).await.unwrap().unwrap();
    assert_eq!((now.state, now.reason, now.evidence), (ItemState::Partial, Some(Reason::FileLost), None));
    assert_eq!((now.counts.listed, now.counts.filed, now.missing), (2, 1, 1));
    assert_eq!(catalog.missing_of(item.id).await.unwrap()[0].1, first.instance);
    let totals = catalog.totals(job).await.unwrap();
    assert_eq!((totals.items.proven, totals.items.partial, totals.objects.filed), (0, 1, 1));
    let receipts = catalog.receipts_of_study(SOURCE, &study).await.unwrap();
    assert_eq!((receipts[0].filed, &receipts[0].instance), (false, &first.instance));
    // Asked a second time, there is nothing to forget.
    assert_eq!(catalog.lose(first.clone(), None, "gone").await.unwrap(), Lost::Changed);

    let second = files(&catalog, &study).await.remove(0);
    catalog.lose(second, None, "gone too").await.unwrap();
    assert_eq!(counted(&catalog).await, (0, 0, 0));
    let now = catalog.item(item.id).await.unwrap().unwrap();
    assert_eq!((now.state, now.missing), (ItemState::Failed, 2));
    assert_eq!(now.detail, format!("gone; `pacsferry job {job} retry` pulls it again"));
    assert!(catalog.find(QueryLevel::Study, &[], 10).await.unwrap().rows.is_empty());

    assert_eq!(catalog.retry_items(job, Retry::All).await.unwrap(), 1);
    assert_eq!(record(&catalog, vec![instance(1, 1), instance(1, 2)]).await, [Recorded::New, Recorded::New]);
    assert_eq!(counted(&catalog).await, (2, 1, 2));
}

fn renamed(place: &Place, from: &str, to: &str) -> Place {
    Place::Stored(RelativePath::parse(&place.to_string().replace(from, to)).unwrap())
}

#[tokio::test]
async fn a_variant_takes_the_place_of_what_is_lost() {
    let (_folder, catalog) = catalog();
    let (_, item) = proven(&catalog).await;
    let study = item.study.study_uid.clone();
    let mut variant = instance(1, 1);
    variant.digest = Some(Digest::from_bytes([7; 32]));
    variant.place = renamed(&variant.place, ".dcm", "~0707070707070707.dcm");
    variant.destination = Destination::Variant;
    variant.receipt.association += 1;
    assert_eq!(record(&catalog, vec![variant.clone()]).await, [Recorded::Variant]);
    let lost = files(&catalog, &study).await.into_iter().find(|file| file.instance == variant.identity.instance);
    assert_eq!(catalog.lose(lost.unwrap(), None, "gone").await.unwrap(), Lost::Replaced);
    let existing = catalog.existing(&variant.identity.instance).unwrap().unwrap();
    assert_eq!((existing.current.digest, &existing.current.place), (variant.digest, &variant.place));
    assert!(existing.variants.is_empty());
    assert_eq!(
        (counted(&catalog).await, catalog.item(item.id).await.unwrap().unwrap().state),
        ((2, 1, 2), ItemState::Proven)
    );
    // And a variant that is lost takes nothing with it.
    let mut another = variant.clone();
    another.digest = Some(Digest::from_bytes([8; 32]));
    another.place = renamed(&another.place, "07", "08");
    assert_eq!(record(&catalog, vec![another.clone()]).await, [Recorded::Variant]);
    let lost = files(&catalog, &study).await.into_iter().find(|file| file.digest == another.digest).unwrap();
    assert_eq!(catalog.lose(lost, None, "gone").await.unwrap(), Lost::Beside);
    assert!(catalog.existing(&variant.identity.instance).unwrap().unwrap().variants.is_empty());
}

#[tokio::test]
async fn what_was_in_quarantine_and_is_gone_is_missing_again() {
    let (_folder, catalog) = catalog();
    let (_, item) = proven(&catalog).await;
    let study = item.study.study_uid.clone();
    let mut kept = instance(1, 3);
    kept.place = Place::Stored(RelativePath::parse("quarantine/00/1~0000000000000000.dcm").unwrap());
    kept.destination = Destination::Quarantine { reason: "no header".into() };
    assert_eq!(record(&catalog, vec![kept]).await, [Recorded::Quarantined("no header".into())]);
    let lost = files(&catalog, &study).await.into_iter().find(|file| file.role == FileRole::Quarantined).unwrap();
    assert_eq!(catalog.lose(lost, None, "gone").await.unwrap(), Lost::Beside);
    assert!(catalog.quarantined_of_study(&study).await.unwrap().is_empty());
    assert!(catalog.receipts_of_study(SOURCE, &study).await.unwrap().iter().all(|r| r.outcome == Outcome::New));
}

/// How many files of each study are links, by the UID of the study.
async fn linked(catalog: &Catalog) -> Vec<(String, i64)> {
    catalog
        .read(|c| {
            let mut statement = c.prepare("SELECT uid, linked FROM studies ORDER BY uid")?;
            Ok(statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_linked_file_that_is_lost_counts_no_more_and_a_variant_of_another_study_replaces_it() {
    let (_folder, catalog) = catalog();
    let link = |name: &str| crate::store::Link { path: name.into(), offset: 1, size: 5, modified: Some(7) };
    let mut first = instance(1, 1);
    first.place = link("/a/1").into();
    let mut variant = NewInstance { identity: instance(2, 1).identity, ..instance(1, 1) };
    variant.identity.instance = first.identity.instance.clone();
    variant.digest = Some(Digest::from_bytes([9; 32]));
    variant.place = link("/a/2").into();
    variant.destination = crate::store::Destination::Variant;
    let (one, two) = (first.identity.study.clone(), variant.identity.study.clone());
    assert_eq!(record(&catalog, vec![first, variant]).await, [Recorded::New, Recorded::Variant]);
    let counts = |a: i64, b: i64| vec![(one.to_string(), a), (two.to_string(), b)];
    assert_eq!(linked(&catalog).await, counts(1, 1));
    let lost = files(&catalog, &one).await.remove(0);
    let mut elsewhere = lost.clone();
    elsewhere.place = link("/a/3").into();
    assert_eq!(catalog.lose(elsewhere, None, "gone").await.unwrap(), Lost::Changed);
    assert_eq!(catalog.lose(lost, None, "gone").await.unwrap(), Lost::Replaced);
    assert_eq!(linked(&catalog).await, counts(0, 1));
    let lost = files(&catalog, &two).await.remove(0);
    assert_eq!(catalog.lose(lost, None, "gone").await.unwrap(), Lost::Instance(Vec::new()));
    assert_eq!(linked(&catalog).await, counts(0, 0));
}
