//! What a move with new UIDs writes is valid and leads to where things are: references of objects that go and that
//! stay, rejection notes, and new versions of reports, as David Clunie's dciodvfy, DCMTK and pydicom see them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use pacsferry::content::document::{Document, Moment};
use pacsferry::content::keys::{KEY_OBJECTS, Note, Rejected, is_rejection};
use pacsferry::content::measurements::{choose, is_measurement_report, split};
use pacsferry::content::references::{Move, Moves, Owner, Place, companions, is_companion_class, referred, repair};
use pacsferry::content::reports::{Seal, difference, is_report, new_version};
use pacsferry::content::uids::{Level, new_uid};
use pacsferry::dataset::{
    Amendment, CharacterSet, Original, Tree, UidKind, amend, read_part10_head, write_part10_head,
};
use pacsferry::dicom::{
    SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, Tag, TransferSyntaxUid, Uid, tags, uids,
};

use crate::support::peers::{PATIENCE, finish, python, text};

const OPERATION: &str = "operation 7 of this archive";
const S: &str = "1.2.3.1";
const R: &str = "1.2.3.1.5";
const D: &str = "1.2.3.2";

/// A file: its data set, and what that says up to the pixel data.
struct Object {
    data_set: Vec<u8>,
    tree: Tree,
}

impl Object {
    fn read(path: &Path) -> Object {
        let bytes = std::fs::read(path).unwrap();
        let head = read_part10_head(&bytes).unwrap();
        let data_set = bytes[usize::try_from(head.data_set_offset).unwrap()..].to_vec();
        let tree = Tree::read(data_set.as_slice(), &syntax(), &CharacterSet::ascii(), 1 << 20).unwrap();
        Object { data_set, tree }
    }

    fn uid(&self) -> SopInstanceUid {
        self.tree.uid(tags::SOP_INSTANCE_UID).unwrap().into()
    }

    fn class(&self) -> SopClassUid {
        self.tree.uid(tags::SOP_CLASS_UID).unwrap().into()
    }

    fn place(&self) -> Place {
        place(&self.tree)
    }
}

fn place(tree: &Tree) -> Place {
    Place {
        study: tree.uid(tags::STUDY_INSTANCE_UID).unwrap().into(),
        series: tree.uid(tags::SERIES_INSTANCE_UID).unwrap().into(),
    }
}

fn syntax() -> TransferSyntaxUid {
    TransferSyntaxUid::new(uids::EXPLICIT_LE)
}

fn moment() -> Moment {
    Moment { date: "20260304".into(), time: "101112.000000".into() }
}

/// The objects of documents.py by name.
fn objects() -> BTreeMap<String, Object> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = python("documents.py");
    command.arg(folder.path());
    let done = finish(command, PATIENCE);
    assert!(done.status.success(), "documents.py: {}", text(&done.stderr));
    assert_eq!(faults(folder.path()), [""; 0], "what is begun with is valid");
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), Object::read(&path))).collect()
}

/// ct1, ct2 and those of `along` move from S to D.
fn moves(objects: &BTreeMap<String, Object>, along: &[SopInstanceUid]) -> Moves {
    let mut moves = Moves::new();
    for (name, object) in objects {
        if ["ct1", "ct2"].contains(&name.as_str()) || along.contains(&object.uid()) {
            let series = new_uid(OPERATION, Level::Series, &object.place().series).into();
            let to = Place { study: StudyInstanceUid::new(D), series };
            moves.instance(&object.uid(), Move { uid: new_uid(OPERATION, Level::Instance, &object.uid()).into(), to });
        }
    }
    moves
}

/// What the objects become: those that move by an amendment, as they will leave; those that stay and refer to what moved
/// likewise, under a new UID.
fn after(object: &Object, moves: &Moves) -> Option<Vec<u8>> {
    let own = moves.of(&object.uid());
    let before = object.place();
    let to = own.map_or_else(|| before.clone(), |own| own.to.clone());
    let repaired = repair(&object.tree, Owner { before: &before.study, after: &to.study }, moves).unwrap();
    if own.is_none() && repaired.is_none() {
        return None;
    }
    let mut put = repaired.as_ref().map(|repaired| repaired.patch()).unwrap_or_default();
    let uid = own.map_or_else(|| new_uid(OPERATION, Level::Instance, &object.uid()), |own| (*own.uid).clone());
    put.put_uid(tags::SOP_INSTANCE_UID, &uid);
    put.put_uid(tags::STUDY_INSTANCE_UID, &to.study).put_uid(tags::SERIES_INSTANCE_UID, &to.series);
    let original = Original {
        system: "FERRY".into(),
        reason: "CORRECT".into(),
        at: "20260304101112".into(),
        ..Original::default()
    };
    let mut amendment = Amendment { put, original: Some(original), ..Amendment::default() };
    amendment.remove = repaired.iter().flat_map(|repaired| repaired.gone()).collect();
    for old in referred(&object.tree) {
        if let Some(new) = moves.of(&old) {
            amendment.uids.insert(UidKind::Instance, (*old).clone(), (*new.uid).clone());
        }
    }
    let stored = std::io::Cursor::new(object.data_set.clone());
    let mut out = Vec::new();
    amend(stored, &syntax(), &[Arc::new(amendment)]).unwrap().read_to_end(&mut out).unwrap();
    Some(out)
}

fn write(folder: &Path, name: &str, class: &str, uid: &str, data_set: &[u8]) {
    let mut bytes = write_part10_head(class, uid, uids::EXPLICIT_LE, None);
    bytes.extend_from_slice(data_set);
    std::fs::write(folder.join(format!("{name}.dcm")), bytes).unwrap();
}

fn write_document(folder: &Path, name: &str, document: &Document) {
    assert_eq!(Document::SYNTAX, uids::EXPLICIT_LE);
    write(folder, name, document.class.as_str(), document.uid.as_str(), &document.data_set());
}

/// What dciodvfy calls an error in the files of a folder, and documents that DCMTK cannot read.
fn faults(folder: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut command = Command::new("dciodvfy");
        command.arg(&path);
        let done = finish(command, PATIENCE);
        let said = text(&done.stderr);
        assert!(!said.trim().is_empty(), "{name}: dciodvfy says at least what it takes the object for");
        faults.extend(said.lines().filter(|line| line.starts_with("Error")).map(|line| format!("{name}: {line}")));
        if name.starts_with("sr") || name.starts_with("ko") {
            let mut command = Command::new("dsrdump");
            command.arg(&path);
            let done = finish(command, PATIENCE);
            if !done.status.success() {
                faults.push(format!("{name}: {}", text(&done.stderr)));
            }
        }
    }
    faults.sort();
    faults
}

/// What pydicom finds of references that lead nowhere, or elsewhere than they say.
fn dangling(folder: &Path) -> Vec<String> {
    let mut command = python("resolve.py");
    command.arg(folder);
    let done = finish(command, PATIENCE);
    assert!(done.status.success(), "resolve.py: {}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn along(objects: &BTreeMap<String, Object>) -> Vec<SopInstanceUid> {
    let of_source = objects.values().filter(|object| object.place().study.as_str() == S);
    let candidates: Vec<_> = of_source
        .filter(|object| is_companion_class(&object.class()))
        .map(|object| (object.uid(), referred(&object.tree)))
        .collect();
    let moved: HashSet<_> = ["ct1", "ct2"].map(|name| objects[name].uid()).into();
    companions(&candidates, &moved)
}

#[test]
fn references_lead_to_where_things_are_in_what_goes_and_in_what_stays() {
    let objects = objects();
    let along = along(&objects);
    let named: BTreeSet<_> =
        objects.iter().filter(|(_, o)| along.contains(&o.uid())).map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, BTreeSet::from(["ko-moved", "pr-moved", "rtss-moved", "seg-moved"]));
    for along in [along, Vec::new()] {
        let moves = moves(&objects, &along);
        let folder = tempfile::tempdir().unwrap();
        let mut changed = 0;
        for (name, object) in &objects {
            let data_set = after(object, &moves);
            changed += usize::from(data_set.is_some());
            let data_set = data_set.as_ref().unwrap_or(&object.data_set);
            let tree = Tree::read(data_set.as_slice(), &syntax(), &CharacterSet::ascii(), 1 << 20).unwrap();
            let uid = tree.uid(tags::SOP_INSTANCE_UID).unwrap();
            write(folder.path(), name, object.class().as_str(), uid.as_str(), data_set);
        }
        // All but the image that stays, and what the destination had.
        assert_eq!(changed, objects.len() - 3);
        assert_eq!(dangling(folder.path()), [""; 0]);
        assert_eq!(faults(folder.path()), [""; 0]);
    }
}

#[test]
fn without_repair_references_lead_nowhere() {
    let objects = objects();
    let moves = moves(&objects, &[]);
    let folder = tempfile::tempdir().unwrap();
    for (name, object) in &objects {
        let data_set = after(object, &moves).filter(|_| name.starts_with("ct"));
        let data_set = data_set.as_ref().unwrap_or(&object.data_set);
        let tree = Tree::read(data_set.as_slice(), &syntax(), &CharacterSet::ascii(), 1 << 20).unwrap();
        let uid = tree.uid(tags::SOP_INSTANCE_UID).unwrap();
        write(folder.path(), name, object.class().as_str(), uid.as_str(), data_set);
    }
    let dangling = dangling(folder.path());
    for name in ["pr-both", "ko-moved", "seg-both", "rtss-moved", "sr-verified"] {
        assert!(dangling.iter().any(|what| what.starts_with(name)), "{name} in {dangling:?}");
    }
}

#[test]
fn the_rejection_note_is_valid_and_names_the_old_objects() {
    let objects = objects();
    let source = &objects["ct1"].tree;
    let mut head = Tree::new();
    for tag in [tags::PATIENT_NAME, tags::PATIENT_ID, tags::PATIENT_BIRTH_DATE, tags::PATIENT_SEX, tags::STUDY_DATE] {
        head.put(tag, source.get(tag).unwrap().clone());
    }
    let names = ["ct1", "ct2", "sr-both", "seg-moved"];
    let rejected: Vec<_> = names.map(|name| &objects[name]).map(of).into();
    let (study, at) = (StudyInstanceUid::new(S), moment());
    let note = Note { operation: OPERATION, study: &study, head: &head, reason: "Falsche Größe: 14:30", at: &at };
    let notes = note.reject(&rejected);
    assert_eq!(notes.len(), 1);
    assert_eq!(notes, note.reject(&rejected), "the same when it is made again");
    assert_eq!((notes[0].class.as_str(), notes[0].place.study.as_str()), (KEY_OBJECTS, S));
    assert!(is_rejection(&notes[0].tree) && !is_rejection(&objects["ko-both"].tree));

    let folder = tempfile::tempdir().unwrap();
    write_document(folder.path(), "ko-note", &notes[0]);
    assert_eq!(faults(folder.path()), [""; 0]);
    let said = dumped(&folder.path().join("ko-note.dcm"));
    for what in ["Incorrect Modality Worklist Entry", "Falsche Größe: 14:30", "Müller^Hans", "4711"] {
        assert!(said.contains(what), "{what} in {said}");
    }
    for object in &rejected {
        assert!(said.contains(object.uid.as_str()), "{} in {said}", object.uid);
    }
    // Every object that it names is there, in the study and series that it names.
    for name in names {
        let object = &objects[name];
        write(folder.path(), name, object.class().as_str(), object.uid().as_str(), &object.data_set);
    }
    let dangling: Vec<_> = dangling(folder.path()).into_iter().filter(|what| what.starts_with("ko-note")).collect();
    assert_eq!(dangling, [""; 0]);
}

fn of(object: &Object) -> Rejected {
    Rejected { class: object.class(), uid: object.uid(), place: object.place() }
}

#[test]
fn very_many_objects_are_rejected_by_several_notes() {
    let (study, at, head) = (StudyInstanceUid::new(S), moment(), Tree::new());
    let place = Place { study: study.clone(), series: SeriesInstanceUid::new(R) };
    let rejected = |n: usize| Rejected {
        class: SopClassUid::new("1.2.840.10008.5.1.4.1.1.2"),
        uid: SopInstanceUid::new(&format!("1.9.{n}")),
        place: place.clone(),
    };
    let note = Note { operation: OPERATION, study: &study, head: &head, reason: "", at: &at };
    let notes = note.reject(&(0..10_001).map(rejected).collect::<Vec<_>>());
    let counts: Vec<_> = notes.iter().map(|note| note.tree.items(tags::CONTENT_SEQUENCE).len()).collect();
    assert_eq!(counts, [10_000, 1]);
    assert_eq!(notes[0].place, notes[1].place);
    assert_ne!(notes[0].uid, notes[1].uid);
    assert_eq!(note.reject(&[]), []);
}

#[test]
fn reports_get_new_versions_when_measurements_move() {
    let objects = objects();
    let moves = moves(&objects, &[]);
    let (source, there) = (&objects["sr-both"].tree, &objects["sr-there"].tree);
    assert!(is_measurement_report(source) && is_report(&objects["sr-both"].class()));
    assert_eq!(choose(&[objects["ct7"].tree.clone(), there.clone()], source), Some(1));
    let done = split(source, there, &moves).unwrap().unwrap();
    assert_eq!((done.touched.moving, done.touched.derived, done.touched.torn), (1, 1, 0));

    let folder = tempfile::tempdir().unwrap();
    let versions =
        [("sr-source", &done.source, vec![source]), ("sr-destination", &done.destination, vec![there, source])];
    let mut said = Vec::new();
    for (name, content, predecessors) in versions {
        let study = place(content).study;
        let repaired = repair(content, Owner { before: &study, after: &study }, &moves).unwrap();
        let content = repaired.map_or_else(|| content.clone(), |repaired| repaired.tree);
        let uid = new_uid(OPERATION, Level::Instance, &content.uid(tags::SOP_INSTANCE_UID).unwrap()).into();
        let version = new_version(content, &uid, &predecessors, &moment());
        assert_eq!(version.uid, uid);
        assert_eq!(named(&version.tree, tags::PREDECESSOR_DOCUMENTS_SEQUENCE), uids_of(&predecessors));
        write_document(folder.path(), name, &version);
        said.push(dumped(&folder.path().join(format!("{name}.dcm"))));
    }
    assert_eq!(faults(folder.path()), [""; 0]);
    let [source_says, there_says] = &said[..] else { unreachable!("two versions") };
    assert!(!source_says.contains("lesion 1") && source_says.contains("lesion 3"), "{source_says}");
    assert!(there_says.contains("lesion 1") && there_says.contains("lesion 7"), "{there_says}");
    for what in [source_says, there_says] {
        assert!(!what.contains("Ratio"), "what was derived from both is in neither: {what}");
    }

    // The former versions stay as well, and everything resolves.
    for (name, object) in objects.iter().filter(|(name, _)| name.starts_with("ct") || name.starts_with("sr-")) {
        let data_set = after(object, &moves).filter(|_| name.starts_with("ct"));
        let uid = moves.of(&object.uid()).map_or_else(|| object.uid(), |own| own.uid.clone());
        let data_set = data_set.as_ref().unwrap_or(&object.data_set);
        write(folder.path(), name, object.class().as_str(), uid.as_str(), data_set);
    }
    let dangling: Vec<_> = dangling(folder.path());
    let dangling: Vec<_> =
        dangling.iter().filter(|what| what.starts_with("sr-source") || what.starts_with("sr-dest")).collect();
    assert_eq!(dangling, [""; 0]);
}

#[test]
fn a_verified_report_asks_first_and_its_new_version_is_not_verified() {
    let objects = objects();
    let verified = &objects["sr-verified"].tree;
    assert_eq!(Seal::of(verified), Seal { verified: true, signed: false });
    assert!(Seal::of(verified).asks() && !Seal::of(&objects["sr-both"].tree).asks());
    let mut signed = objects["pr-both"].tree.clone();
    signed.items_mut(tags::GRAPHIC_ANNOTATION_SEQUENCE)[0]
        .put_items(tags::DIGITAL_SIGNATURES_SEQUENCE, vec![Tree::new()]);
    assert_eq!(Seal::of(&signed), Seal { verified: false, signed: true });

    let study = StudyInstanceUid::new(S);
    let moves = moves(&objects, &[]);
    let content = repair(verified, Owner { before: &study, after: &study }, &moves).unwrap().unwrap().tree;
    let version = new_version(content, &SopInstanceUid::new("2.25.5"), &[verified], &moment());
    assert_eq!(version.tree.text(tags::VERIFICATION_FLAG), Some("UNVERIFIED"));
    assert!(!version.tree.contains(tags::VERIFYING_OBSERVER_SEQUENCE));
    assert_eq!(version.tree.text(tags::CONTENT_DATE), Some("20260304"));
    let signed = new_version(signed, &SopInstanceUid::new("2.25.6"), &[], &moment());
    assert!(!Seal::of(&signed.tree).signed && !signed.tree.contains(tags::PREDECESSOR_DOCUMENTS_SEQUENCE));
    let folder = tempfile::tempdir().unwrap();
    write_document(folder.path(), "sr-version", &version);
    write_document(folder.path(), "pr-version", &signed);
    assert_eq!(faults(folder.path()), [""; 0]);

    // What has to be put and removed makes the one of the other.
    let (put, remove) = difference(verified, &version.tree);
    let mut made = verified.clone();
    for (tag, node) in put.iter() {
        made.put(tag, node.clone());
    }
    for tag in remove {
        made.remove(tag);
    }
    assert_eq!(made, version.tree);
}

/// What DCMTK makes of a document.
fn dumped(path: &Path) -> String {
    let mut command = Command::new("dsrdump");
    command.args(["+Pu", "+Pl", "+U8"]).arg(path);
    let done = finish(command, PATIENCE);
    assert!(done.status.success(), "{}", text(&done.stderr));
    text(&done.stdout)
}

/// The objects that a list by study and series names.
fn named(tree: &Tree, list: Tag) -> BTreeSet<Uid> {
    let series = tree.items(list).iter().flat_map(|study| study.items(tags::REFERENCED_SERIES_SEQUENCE));
    let objects = series.flat_map(|series| series.items(tags::REFERENCED_SOP_SEQUENCE));
    objects.filter_map(|object| object.uid(tags::REFERENCED_SOP_INSTANCE_UID)).collect()
}

fn uids_of(trees: &[&Tree]) -> BTreeSet<Uid> {
    trees.iter().filter_map(|tree| tree.uid(tags::SOP_INSTANCE_UID)).collect()
}
