//! What a move means for objects that refer to each other: those that go along, references that are repaired in moved
//! objects, objects that stay and are replaced by new versions, measurements, and the note that rejects the old objects.

mod reading;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Mutex;

use super::amendment::Stamp;
use super::document::{Document, Moment};
use super::keys::{KEY_OBJECTS, Note, Rejected, is_rejection};
use super::plan::{MeasurementSheet, ReferenceSheet};
use super::references::{Move, Moves, Owner, Place, companions, is_companion_class, repair};
use super::reports::{Seal, difference, is_document, new_version};
use super::uids::{Level, new_uid};
use super::{Content, ContentError, Mode, Refusal, Warning, measure};
use crate::catalog::ObjectFacts;
use crate::dataset::{Amendment, CharacterSet, Tree, UidKind};
use crate::dicom::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, tags};

/// The most objects that are replaced by new versions.
const MOST_REPLACED: usize = 1_000;
/// The most objects that get new UIDs in one operation.
const MOST_RENAMED: usize = 50_000;

/// What an operation writes.
#[derive(Debug, Clone)]
pub(super) enum Draft {
    /// A document that is all here.
    Document(Box<Document>),
    /// A new version of an object with pixel data, which are streamed.
    Version {
        /// The number of the old one.
        of: i64,
        /// The UID of the new one.
        uid: SopInstanceUid,
        /// What is different in it.
        amendment: Box<Amendment>,
    },
}

impl Draft {
    /// Its SOP Instance UID.
    pub(super) fn uid(&self) -> &SopInstanceUid {
        match self {
            Draft::Document(document) => &document.uid,
            Draft::Version { uid, .. } => uid,
        }
    }

    /// The UID of a rejection note.
    pub(super) fn note(&self) -> Option<&SopInstanceUid> {
        match self {
            Draft::Document(document) if is_rejection(&document.tree) => Some(&document.uid),
            _ => None,
        }
    }
}

/// One operation, as far as it is known.
pub(super) struct Rewriting<'a> {
    pub(super) content: &'a Content,
    pub(super) mode: Mode,
    /// What new UIDs are made of.
    pub(super) name: &'a str,
    pub(super) stamp: &'a Stamp,
    pub(super) from: &'a StudyInstanceUid,
    pub(super) to: &'a StudyInstanceUid,
    /// What those mean who sent the objects of either, and name no character set.
    pub(super) charsets: (&'a CharacterSet, &'a CharacterSet),
    /// Objects that cannot be read, so that nobody knows what they refer to.
    pub(super) unread: Mutex<BTreeSet<SopInstanceUid>>,
}

/// What both studies say of their patient and themselves, for the notes in them.
#[derive(Clone, Copy)]
pub(super) struct Heads<'a> {
    pub(super) source: &'a Tree,
    pub(super) destination: &'a Tree,
}

/// What comes of it.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    /// Where everything goes, and under which UIDs.
    pub(super) moves: Moves,
    /// New UIDs of series, by the old ones.
    pub(super) series: HashMap<SeriesInstanceUid, SeriesInstanceUid>,
    /// New UIDs of objects, by their numbers.
    pub(super) uids: HashMap<i64, SopInstanceUid>,
    /// Old and new UIDs of all objects that are known by another one from then on.
    pub(super) renamed: Vec<(SopInstanceUid, SopInstanceUid)>,
    /// What is different in single moved objects.
    pub(super) patches: HashMap<i64, Amendment>,
    /// What is written.
    pub(super) drafts: Vec<Draft>,
    /// Objects that new versions replace.
    pub(super) replaced: Vec<i64>,
    /// Objects that refer to others.
    pub(super) references: Vec<ReferenceSheet>,
    /// What becomes of measurements.
    pub(super) measurements: MeasurementSheet,
    /// What should be known.
    pub(super) warnings: Vec<Warning>,
}

/// An object and what it refers to.
pub(super) struct Referring {
    object: ObjectFacts,
    modality: String,
    pub(super) to: BTreeSet<SopInstanceUid>,
}

impl Rewriting<'_> {
    /// Those of the objects that stay that only refer to what is moved.
    pub(super) async fn companions(
        &self,
        moved: &[ObjectFacts],
        staying: &[ObjectFacts],
    ) -> Result<Vec<ObjectFacts>, ContentError> {
        let uids: HashSet<SopInstanceUid> = moved.iter().map(|object| object.shown.clone()).collect();
        let candidates = self.referring(staying.iter().filter(|object| is_companion_class(&object.class))).await?;
        let pairs: Vec<_> = candidates.iter().map(|one| (one.object.shown.clone(), one.to.clone())).collect();
        let found: HashSet<SopInstanceUid> = companions(&pairs, &uids).into_iter().collect();
        let along = candidates.into_iter().map(|one| one.object).filter(|object| found.contains(&object.shown));
        Ok(along.collect())
    }

    /// Which of the objects are rejection notes: they stay where they are, and are never rejected themselves.
    pub(super) async fn notes(&self, objects: &[ObjectFacts]) -> Result<Vec<ObjectFacts>, ContentError> {
        let mut notes = Vec::new();
        for object in objects.iter().filter(|object| object.class.as_str() == KEY_OBJECTS) {
            if self.look(object).await?.is_some_and(|tree| is_rejection(&tree)) {
                notes.push(object.clone());
            }
        }
        Ok(notes)
    }

    /// Everything else, when it is known what moves.
    pub(super) async fn rewrite(
        &self,
        moved: &[ObjectFacts],
        staying: &[ObjectFacts],
        there: &[ObjectFacts],
        heads: Heads<'_>,
        reason: &str,
    ) -> Result<Rewritten, ContentError> {
        let mut done = Rewritten::default();
        self.name_anew(moved, &mut done)?;
        // Documents must say that they know no step (PS3.3 §C.17.1), where others say nothing.
        for object in moved.iter().filter(|object| is_document(&object.class)) {
            let patch = done.patches.entry(object.id).or_default();
            patch.put.put_items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
        }
        let whole = |series: &SeriesInstanceUid| staying.iter().all(|object| object.series != *series);
        for object in moved.iter().filter(|object| whole(&object.series)) {
            let series = done.series.get(&object.series).unwrap_or(&object.series).clone();
            done.moves.series(&object.series, Place { study: self.to.clone(), series });
        }
        if staying.is_empty() {
            done.moves.study(self.from, self.to.clone());
        }
        let left = self.replaced(moved, staying, there, &mut done).await?;
        self.repair_moved(moved, &mut done).await?;
        let reports = measure::reports(self, staying, there, &mut done).await?;
        for object in left.iter().filter(|object| !reports.contains(&object.id)) {
            self.replace(object, &mut done).await?;
        }
        if done.drafts.len() > MOST_REPLACED {
            return Err(Refusal::TooMany { what: "the objects to be replaced".into(), limit: MOST_REPLACED }.into());
        }
        if self.mode == Mode::Iocm {
            let replaced: HashSet<i64> = done.replaced.iter().copied().collect();
            let old = |of: &&ObjectFacts| replaced.contains(&of.id);
            let here = moved.iter().chain(staying.iter().filter(old));
            self.reject(here, self.from, heads.source, reason, &mut done);
            self.reject(there.iter().filter(old), self.to, heads.destination, reason, &mut done);
            done.warnings.extend(self.elsewhere(moved, &done).await?);
        }
        Ok(done)
    }

    /// New UIDs, where they are new.
    fn name_anew(&self, moved: &[ObjectFacts], done: &mut Rewritten) -> Result<(), ContentError> {
        let anew = self.mode == Mode::Iocm;
        if anew && moved.len() > MOST_RENAMED {
            return Err(
                Refusal::TooMany { what: "the objects that would get new UIDs".into(), limit: MOST_RENAMED }.into()
            );
        }
        for object in moved {
            let (mut uid, mut series) = (object.shown.clone(), object.series.clone());
            if anew {
                uid = new_uid(self.name, Level::Instance, &uid).into();
                series = new_uid(self.name, Level::Series, &series).into();
                done.series.insert(object.series.clone(), series.clone());
                done.uids.insert(object.id, uid.clone());
                done.renamed.push((object.shown.clone(), uid.clone()));
                let mut patch = Amendment::default();
                patch.put.put_uid(tags::SERIES_INSTANCE_UID, &series);
                done.patches.insert(object.id, patch);
            }
            done.moves.instance(&object.shown, Move { uid, to: Place { study: self.to.clone(), series } });
        }
        Ok(())
    }

    /// Objects of either study that stay and refer to what gets another UID, and those that refer to these: all are
    /// replaced. Where UIDs are kept, nothing is.
    async fn replaced(
        &self,
        moved: &[ObjectFacts],
        staying: &[ObjectFacts],
        there: &[ObjectFacts],
        done: &mut Rewritten,
    ) -> Result<Vec<ObjectFacts>, ContentError> {
        let mut referring = self.samples(staying).await?;
        if self.mode == Mode::Iocm {
            referring.extend(self.samples(there).await?);
        }
        let mut changed: HashSet<SopInstanceUid> = moved.iter().map(|object| object.shown.clone()).collect();
        let mut left: Vec<&Referring> = Vec::new();
        loop {
            let known = changed.len();
            for one in referring.iter().filter(|one| one.to.iter().any(|uid| changed.contains(uid))) {
                if left.iter().all(|other| other.object.id != one.object.id) {
                    left.push(one);
                }
            }
            if self.mode == Mode::Iocm {
                changed.extend(left.iter().map(|one| one.object.shown.clone()));
            }
            if changed.len() == known {
                break;
            }
        }
        if self.mode == Mode::Local {
            if !left.is_empty() {
                done.warnings.push(Warning::ReferencedFromOutside { objects: left.len() });
            }
            done.references
                .extend(left.iter().map(|one| sheet(&one.object, &one.modality, false, false, Seal::default())));
            return Ok(Vec::new());
        }
        for one in &left {
            let uid: SopInstanceUid = new_uid(self.name, Level::Instance, &one.object.shown).into();
            done.renamed.push((one.object.shown.clone(), uid.clone()));
            let to = Place { study: one.object.study.clone(), series: one.object.series.clone() };
            done.moves.instance(&one.object.shown, Move { uid, to });
        }
        Ok(left.into_iter().map(|one| one.object.clone()).collect())
    }

    /// References in moved objects.
    async fn repair_moved(&self, moved: &[ObjectFacts], done: &mut Rewritten) -> Result<(), ContentError> {
        let referring = self.samples(moved).await?;
        for Referring { object, .. } in &referring {
            let tree = self.read(object).await?;
            let owner = Owner { before: self.from, after: self.to };
            let repaired = repair(&tree, owner, &done.moves).map_err(|error| self.tangled(object, &error))?;
            // What somebody has put his name to is told of, whatever becomes of its references.
            let seal = Seal::of(&tree);
            if repaired.is_some() || seal.asks() {
                done.references.push(sheet(object, &modality(&tree), true, false, seal));
            }
            let Some(repaired) = repaired else { continue };
            let patch = done.patches.entry(object.id).or_default();
            for (tag, node) in repaired.patch().iter() {
                patch.put.put(tag, node.clone());
            }
            patch.remove.extend(repaired.gone());
        }
        Ok(())
    }

    /// Makes the new version of an object that stays.
    async fn replace(&self, object: &ObjectFacts, done: &mut Rewritten) -> Result<(), ContentError> {
        let tree = self.read(object).await?;
        let owner = Owner { before: &object.study, after: &object.study };
        let repaired = repair(&tree, owner, &done.moves).map_err(|error| self.tangled(object, &error))?;
        let Some(repaired) = repaired else { return Ok(()) };
        self.new_version(object, &tree, repaired.tree, &[&tree], done);
        Ok(())
    }

    /// An object of which a new version takes the place.
    pub(super) fn new_version(
        &self,
        object: &ObjectFacts,
        old: &Tree,
        new: Tree,
        predecessors: &[&Tree],
        done: &mut Rewritten,
    ) {
        let uid: SopInstanceUid = new_uid(self.name, Level::Instance, &object.shown).into();
        let document = new_version(new, &uid, predecessors, &Moment::at(self.stamp.at));
        done.references.push(sheet(object, &modality(old), false, true, Seal::of(old)));
        done.replaced.push(object.id);
        done.drafts.push(if has_bulk(&object.class) {
            let (put, remove) = difference(old, &document.tree);
            let mut amendment = Amendment { put, remove, ..Amendment::default() };
            amendment.uids.insert(UidKind::Instance, (*object.shown).clone(), (*uid).clone());
            Draft::Version { of: object.id, uid, amendment: Box::new(amendment) }
        } else {
            Draft::Document(Box::new(document))
        });
    }

    /// The note that says that the old objects are no longer valid: those that moved, and those that were replaced.
    fn reject<'a>(
        &self,
        old: impl Iterator<Item = &'a ObjectFacts>,
        study: &StudyInstanceUid,
        head: &Tree,
        reason: &str,
        done: &mut Rewritten,
    ) {
        let rejected: Vec<Rejected> = old
            .map(|object| Rejected {
                class: object.class.clone(),
                uid: object.shown.clone(),
                place: Place { study: study.clone(), series: object.series.clone() },
            })
            .collect();
        let at = Moment::at(self.stamp.at);
        let note = Note { operation: self.name, study, head, reason, at: &at };
        done.drafts.extend(note.reject(&rejected).into_iter().map(|note| Draft::Document(Box::new(note))));
    }

    fn tangled(&self, object: &ObjectFacts, error: &dyn std::error::Error) -> ContentError {
        Refusal::Tangled { instance: object.shown.to_string(), why: error.to_string() }.into()
    }
}

/// Whether objects of this class have pixel data or the like, which are streamed.
fn has_bulk(class: &SopClassUid) -> bool {
    let documents = ["1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.11."];
    !documents.iter().any(|root| class.as_str().starts_with(root))
}

fn modality(tree: &Tree) -> String {
    tree.text(tags::MODALITY).unwrap_or_default().to_owned()
}

fn sheet(object: &ObjectFacts, modality: &str, moves: bool, replaced: bool, seal: Seal) -> ReferenceSheet {
    ReferenceSheet {
        uid: object.shown.to_string(),
        modality: modality.to_owned(),
        moves,
        replaced,
        verified: seal.asks(),
    }
}
