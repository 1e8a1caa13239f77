//! A catalog made anew says what the lost one said, of everything that files and journal can tell.
#![expect(clippy::disallowed_methods, reason = "the tests do to the folder what people do")]

use std::collections::BTreeSet;

mod corrections;

use super::*;
use crate::intake::How;
use crate::node::testing::Site;

#[tokio::test]
async fn variants_collisions_and_quarantine_come_back_as_they_were() {
    let site = Site::new().await;
    let before = site.contents().await;
    assert_eq!((before.0.len(), before.1.len(), before.2.len()), (2, 5, 2));
    assert_eq!(site.findings().await, Vec::<String>::new());
    let numbered = async || {
        let catalog = Catalog::open(&site.config.storage.catalog).unwrap();
        let held = catalog.in_quarantine(None, 0, 10).await.unwrap();
        (
            held.into_iter().map(|held| (held.position, held.place)).collect::<Vec<_>>(),
            catalog.rebuilt_at().await.unwrap(),
        )
    };
    let (numbers, never) = numbered().await;
    assert_eq!(never, None);
    site.lose_the_catalog();
    let done = rebuild(site.config.clone()).await.unwrap();
    assert_eq!(numbered().await.0, numbers, "the same numbers");
    assert!(numbered().await.1.is_some(), "and it is known that it was made anew");
    assert_eq!(done, Rebuilt { objects: 3, quarantined: 2, problems: vec![], problem_count: 0 });
    assert_eq!(site.contents().await, before);
    assert_eq!(site.findings().await, Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(site.temp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("rebuilding")), "{left:?}");
}

#[tokio::test]
async fn variants_whose_instance_is_gone_are_all_recorded() {
    let site = Site::new().await;
    let sent = ["C", "D"].map(|patient| ("1.2.3.5", "1.2.3.5", patient, 1));
    assert_eq!(site.send(&sent).await, [Recorded::Variant, Recorded::Variant]);
    let of_instance = |files: &BTreeSet<String>| files.iter().filter(|file| file.contains("/1.2.3.5")).count();
    assert_eq!(of_instance(&site.contents().await.1), 5, "an instance, three variants, and a collision");
    site.lose_the_catalog();
    std::fs::remove_file(site.config.storage.folder.join("images/2021/11/17/1.2.3/1.2.3.4/1.2.3.5.dcm")).unwrap();
    let done = rebuild(site.config.clone()).await.unwrap();
    assert_eq!((done.objects, done.quarantined, done.problems), (4, 2, vec![]));
    let (rows, files, _) = site.contents().await;
    assert_eq!((rows.len(), of_instance(&files)), (2, 4));
    assert_eq!(site.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_file_of_ours_is_told_and_costs_only_itself() {
    let site = Site::new().await;
    site.lose_the_catalog();
    let folder = site.config.storage.folder.join("images/2021/11/17");
    std::fs::write(folder.join("notes.dcm"), b"not an image").unwrap();
    // What a rebuild that was killed left behind is no obstacle.
    std::fs::write(with_suffix(&site.config.storage.catalog, ".rebuilding"), b"half a catalog").unwrap();
    let done = rebuild(site.config.clone()).await.unwrap();
    assert_eq!((done.objects, done.quarantined, done.problem_count), (3, 2, 1));
    assert!(done.problems[0].contains("notes.dcm"), "{:?}", done.problems);
    let findings = site.findings().await;
    assert!(findings.len() == 1 && findings[0].contains("notes.dcm"), "{findings:?}");
}

#[tokio::test]
async fn nobody_else_may_have_the_folder_open() {
    let site = Site::new().await;
    site.lose_the_catalog();
    let other = Store::open(&site.config.storage.folder, 0).unwrap();
    let refused = rebuild(site.config.clone()).await;
    assert!(matches!(refused, Err(NodeError::Store { source: StoreError::InUse(_), .. })), "{refused:?}");
    assert!(!site.config.storage.catalog.exists());
    drop(other);
    assert!(rebuild(site.config.clone()).await.is_ok());
}

#[tokio::test]
async fn links_come_back_from_the_journal() {
    let site = Site::new().await;
    assert_eq!(site.link("one", "1.2.3.8", "A", How::Link).await.1, Recorded::New);
    assert_eq!(site.link("two", "1.2.3.9", "A", How::LinkHashed).await.1, Recorded::New);
    assert_eq!(site.link("beside two", "1.2.3.9", "B", How::Link).await.1, Recorded::Variant);
    let before = site.contents().await;
    assert_eq!((before.0.len(), before.1.len()), (4, 8));
    site.lose_the_catalog();
    let done = rebuild(site.config.clone()).await.unwrap();
    assert_eq!((done.objects, done.quarantined, done.problem_count), (6, 2, 0), "{:?}", done.problems);
    assert_eq!(site.contents().await, before);
    assert_eq!(site.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn links_that_were_copied_stay_copies_and_those_that_are_gone_are_told() {
    let site = Site::new().await;
    let (first, _) = site.link("one", "1.2.3.8", "A", How::Link).await;
    site.link("two", "1.2.3.9", "A", How::LinkHashed).await;
    let (stop, scope) = (tokio_util::sync::CancellationToken::new(), crate::job::verify::Scope::All);
    let adopted = crate::node::adopt(site.config.clone(), &scope, &stop, &mut |_| {}).await.unwrap();
    assert_eq!((adopted.studies, adopted.objects, adopted.findings), (1, 2, 0));
    let (gone, _) = site.link("three", "1.2.3.10", "A", How::Link).await;
    let before = site.contents().await;
    std::fs::remove_file(gone).unwrap();
    std::fs::remove_file(first).unwrap();
    site.lose_the_catalog();
    let done = rebuild(site.config.clone()).await.unwrap();
    assert_eq!((done.objects, done.problem_count), (5, 1), "{:?}", done.problems);
    assert!(done.problems[0].contains("three"), "{:?}", done.problems);
    let after = site.contents().await;
    assert_eq!((after.1.len(), before.1.difference(&after.1).count()), (7, 1), "only what is gone is missing");
}
