//! Moves that give new UIDs: references follow, others are told, and all of it can be taken back.

use super::keys::is_rejection;
use super::references::referred;
use super::*;
use crate::catalog::{Errand, Left, OutboxFilter, ShownAs};

const PRESENTATION: &str = "1.2.840.10008.5.1.4.1.1.11.1";
const KEYS: &str = "1.2.840.10008.5.1.4.1.1.88.59";

/// An object of this class that refers to others, each by series and UID.
fn referring(class: &str, modality: &str, study: &str, to: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    tree.put_text(tags::SOP_CLASS_UID, class).put_text(tags::MODALITY, modality);
    let series = to.iter().map(|(series, uid)| {
        let (mut item, mut object) = (Tree::new(), Tree::new());
        object.put_text(tags::REFERENCED_SOP_CLASS_UID, CT).put_text(tags::REFERENCED_SOP_INSTANCE_UID, uid);
        let tag = if class == KEYS { tags::REFERENCED_SOP_SEQUENCE } else { tags::REFERENCED_IMAGE_SEQUENCE };
        item.put_items(tag, vec![object]).put_text(tags::SERIES_INSTANCE_UID, series);
        item
    });
    let series: Vec<Tree> = series.collect();
    if class == KEYS {
        let mut evidence = Tree::new();
        evidence.put_text(tags::STUDY_INSTANCE_UID, study).put_items(tags::REFERENCED_SERIES_SEQUENCE, series);
        tree.put_items(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, vec![evidence]);
    } else {
        tree.put_items(tags::REFERENCED_SERIES_SEQUENCE, series);
    }
    tree
}

#[tokio::test]
async fn new_uids_are_followed_by_references_and_the_old_ones_are_rejected() {
    let site = Site::new(
        "[content]\niocm = true\n[[peer]]\nae_title = \"VIEWER\"\naddress = \"127.0.0.1:9\"\ncorrections = true\n",
    );
    site.series(ANNA, "1.1.1", 3).await;
    site.series(ANNA, "1.1.2", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    // One goes along, since it refers to nothing else; the other stays, and refers to what stays as well.
    let along = referring(PRESENTATION, "PR", "1.1", &[("1.1.1", "1.1.1.1")]);
    let stays = referring(KEYS, "KO", "1.1", &[("1.1.1", "1.1.1.2"), ("1.1.2", "1.1.2.1")]);
    site.send(ANNA, "1.1.3", 1, &along).await;
    site.send(ANNA, "1.1.4", 1, &stays).await;
    let facts = site.content.catalog.study_facts(&StudyInstanceUid::new("1.1")).await.unwrap().unwrap();
    let of = |uid: &str| facts.series.iter().find(|series| series.uid.as_str() == uid).unwrap().id;
    let left = Left {
        peer: "VIEWER".into(),
        shown: ShownAs { series: of("1.1.1"), correction: 0 },
        first: 1,
        last: 2,
        instances: 3,
        corrected: true,
    };
    site.content.catalog.add_departures(vec![left]).await.unwrap();
    let before = (site.study("1.1").await, site.study("1.2").await);

    let plan = site.content.plan(&series("1.1.1", "1.2"), &site.all()).await.unwrap();
    assert_eq!((plan.mode, plan.refusals.as_slice(), plan.objects), (Mode::Iocm, &[][..], 4));
    assert!(plan.warnings.contains(&Warning::Companions { objects: 1 }), "{:?}", plan.warnings);
    assert!(plan.warnings.contains(&Warning::Replaced { objects: 1, documents: 0 }), "{:?}", plan.warnings);
    let done = site.content.commit(&plan, &site.all()).await.unwrap();

    let (source, destination) = (site.study("1.1").await, site.study("1.2").await);
    assert_eq!(destination.len(), 5);
    let new: Vec<&String> = destination.keys().filter(|uid| uid.starts_with("2.25.")).collect();
    assert_eq!(new.len(), 4, "{destination:?}");
    let presentation = destination.values().find(|tree| tree.text(tags::SOP_CLASS_UID) == Some(PRESENTATION)).unwrap();
    let shown = referred(presentation);
    let image = destination.get(shown.iter().next().unwrap().as_str()).expect("it refers to what is there");
    let named = presentation.item(tags::REFERENCED_SERIES_SEQUENCE).unwrap().text(tags::SERIES_INSTANCE_UID);
    assert_eq!(named, image.text(tags::SERIES_INSTANCE_UID));
    assert_eq!(image.text(tags::PATIENT_NAME), Some(TARO.1));

    // What stays: the other series, a new version of the key object, and the note.
    assert_eq!(source.len(), 3);
    let note = source.values().find(|tree| is_rejection(tree)).expect("a rejection note");
    assert_eq!(note.text(tags::PATIENT_NAME), Some(ANNA.1));
    let rejected: Vec<String> = referred(note).iter().map(ToString::to_string).collect();
    assert_eq!(rejected, ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.3.1", "1.1.4.1"], "what is replaced as well");
    assert!(!source.contains_key("1.1.4.1"), "it is replaced");
    let keys =
        source.values().find(|tree| tree.text(tags::SOP_CLASS_UID) == Some(KEYS) && !is_rejection(tree)).unwrap();
    let mut found: Vec<bool> = referred(keys).iter().map(|uid| destination.contains_key(uid.as_str())).collect();
    found.sort_unstable();
    assert_eq!(found, [false, true]);

    let outbox = site.content.catalog.outbox(&OutboxFilter::Operation(done.operation), 10).await.unwrap();
    let [entry] = outbox.as_slice() else { panic!("{outbox:?}") };
    assert!(matches!(&entry.errand, Errand::Publish { peer, first, .. } if peer == "VIEWER" && first.len() == 1));

    // The object comes again under its old UID: it is where it was moved to.
    assert_eq!(site.send(ANNA, "1.1.1", 1, &Tree::new()).await, Recorded::AlreadyMoved);
    let undone = site.undo(done.operation).await.unwrap();
    assert_eq!(undone.warnings, [Warning::NoRevocation]);
    assert_eq!((site.study("1.1").await, site.study("1.2").await), before);
}

#[tokio::test]
async fn references_of_the_destination_follow_as_well_and_those_of_third_studies_are_named() {
    let site = Site::new("[content]\niocm = true\n");
    site.series(ANNA, "1.1.1", 2).await;
    site.series(ANNA, "1.1.2", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    let keys = |study: &str| referring(KEYS, "KO", study, &[("1.1.1", "1.1.1.1")]);
    site.send(TARO, "1.2.2", 1, &keys("1.1")).await;
    // A second one names the first: it is replaced since that is.
    site.send(TARO, "1.2.3", 1, &referring(KEYS, "KO", "1.2", &[("1.2.2", "1.2.2.1")])).await;
    let third = (ANNA.0, "Mueller^Anna", "1.7");
    site.send(third, "1.7.1", 1, &keys("1.1")).await;
    site.send(third, "1.7.2", 1, &Tree::new()).await;
    site.send(EVA, "1.3.1", 1, &keys("1.1")).await;
    let before = (site.study("1.1").await, site.study("1.2").await);

    let request = Request { patient_confirmed: true, ..series("1.1.1", "1.2") };
    let plan = site.content.plan(&request, &site.all()).await.unwrap();
    assert!(plan.may_be_done(), "{:?}", plan.refusals);
    assert!(plan.warnings.contains(&Warning::Replaced { objects: 2, documents: 0 }), "{:?}", plan.warnings);
    let elsewhere = Warning::ReferencedElsewhere { objects: 1, studies: vec!["1.7".into()], unread: false };
    assert!(plan.warnings.contains(&elsewhere), "of either patient, whatever the name: {:?}", plan.warnings);
    let operation = site.content.commit(&plan, &site.all()).await.unwrap().operation;

    let destination = site.study("1.2").await;
    assert!(!destination.contains_key("1.2.2.1") && !destination.contains_key("1.2.3.1"), "they are replaced");
    let note = destination.values().find(|tree| is_rejection(tree)).expect("a note in the destination");
    assert_eq!(note.text(tags::PATIENT_NAME), Some(TARO.1));
    let rejected: Vec<String> = referred(note).iter().map(ToString::to_string).collect();
    assert_eq!(rejected, ["1.2.2.1", "1.2.3.1"]);
    let new: Vec<&Tree> = destination
        .values()
        .filter(|tree| tree.text(tags::SOP_CLASS_UID) == Some(KEYS) && !is_rejection(tree))
        .collect();
    assert_eq!(new.len(), 2);
    for keys in new {
        assert!(referred(keys).iter().all(|uid| destination.contains_key(uid.as_str())), "{keys:?}");
        let evidence = keys.item(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).unwrap();
        assert_eq!(evidence.text(tags::STUDY_INSTANCE_UID), Some("1.2"), "where what it names is now");
        assert_eq!(keys.text(tags::PATIENT_NAME), Some(TARO.1));
    }
    let source = site.study("1.1").await;
    let note = source.values().find(|tree| is_rejection(tree)).expect("and one in the source");
    assert_eq!(referred(note).iter().map(ToString::to_string).collect::<Vec<_>>(), ["1.1.1.1", "1.1.1.2"]);
    site.undo(operation).await.unwrap();
    assert_eq!((site.study("1.1").await, site.study("1.2").await), before);
}

#[tokio::test]
async fn locally_references_name_the_new_study() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 2).await;
    site.series(ANNA, "1.1.2", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    site.send(ANNA, "1.1.3", 1, &referring(KEYS, "KO", "1.1", &[("1.1.1", "1.1.1.1")])).await;
    site.send(ANNA, "1.1.4", 1, &referring(PRESENTATION, "PR", "1.1", &[("1.1.1", "1.1.1.1"), ("1.1.2", "1.1.2.1")]))
        .await;
    let plan = site.content.plan(&series("1.1.1", "1.2"), &site.all()).await.unwrap();
    assert!(plan.warnings.contains(&Warning::ReferencedFromOutside { objects: 1 }), "{:?}", plan.warnings);
    site.content.commit(&plan, &site.all()).await.unwrap();
    let keys = &site.study("1.2").await["1.1.3.1"];
    let evidence = keys.item(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).unwrap();
    assert_eq!(evidence.text(tags::STUDY_INSTANCE_UID), Some("1.2"));
    assert_eq!(site.counts(&["1.1", "1.2"]).await, [2, 4]);
    // Who does not want that leaves it behind.
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    site.send(ANNA, "1.1.3", 1, &referring(KEYS, "KO", "1.1", &[("1.1.1", "1.1.1.1")])).await;
    site.done(&Request { companions: false, ..series("1.1.1", "1.2") }).await;
    assert_eq!(site.counts(&["1.1", "1.2"]).await, [1, 2]);
}
