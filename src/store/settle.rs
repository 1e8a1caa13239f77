//! The filing batch: the one place where bytes become durable. Files and manifest are synced together, then each file
//! gets its final name, then the folders are synced.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};

use super::error::Doing;
use super::incoming::Content;
use super::journal::JournalEntry;
use super::links;
use super::manifest::Entry;
use super::os::Folder;
use super::place::{self, Suffix};
use super::pool::{Target, again};
use super::read::digest_of;
use super::{Destination, Filed, Incoming, LinkedText, Place, RelativePath, Store, StoreError};
use crate::dicom::Date;
use crate::failpoint;

/// From so many files on the whole file system is synced instead of each of them.
const MANY: usize = 64;

/// What became of a batch.
#[derive(Debug)]
pub struct Settled {
    /// Tells [`Store::recorded`] which batch it was, if there is something to tell.
    pub number: Option<u64>,
    /// In the order of the batch.
    pub outcomes: Vec<Result<Filed, StoreError>>,
}

/// An instance of the batch on its way through the steps.
struct Step {
    incoming: Incoming,
    destination: Destination,
    places: Vec<RelativePath>,
    outcome: Result<(), StoreError>,
    /// Where it lies, once it does.
    settled: Option<(Place, u64)>,
}

/// The folders whose names are to be synced, by path, with the steps that wait for each.
type Unsynced = BTreeMap<String, (Folder, Vec<usize>)>;

impl Store {
    /// Makes a batch durable under its final names. What fails is removed; the rest does not suffer from it.
    ///
    /// The caller records what was filed and then says so with [`Store::recorded`]; until then a crash leaves it to
    /// the sweep.
    pub fn settle(&self, batch: Vec<(Incoming, Destination)>) -> Settled {
        let mut steps: Vec<_> = batch.into_iter().map(Step::new).collect();
        let number = self.sync_files(&mut steps);
        failpoint!("settle-synced");
        let mut unsynced = Unsynced::new();
        for (index, step) in steps.iter_mut().enumerate() {
            if step.outcome.is_ok() {
                step.outcome = self.name(step, index, &mut unsynced);
                failpoint!("settle-renamed");
            }
        }
        self.sync_folders(unsynced, &mut steps);
        failpoint!("settle-folders");
        let number = number.filter(|number| self.is_for_the_catalog(*number, &steps));
        Settled { number, outcomes: steps.into_iter().map(Step::finish).collect() }
    }

    /// A batch of which nothing got its final name is done with; one in which something did, and failed after that,
    /// is left to the sweep.
    fn is_for_the_catalog(&self, number: u64, steps: &[Step]) -> bool {
        let settled = || steps.iter().filter(|step| step.settled.is_some());
        if settled().next().is_none() {
            self.recorded(number);
            return false;
        }
        settled().all(|step| step.outcome.is_ok())
    }

    /// Whether there is a file already where this one would lie as an image.
    pub fn is_taken(&self, incoming: &Incoming) -> Result<bool, StoreError> {
        let places = places_of(incoming, &Destination::Image);
        let Some(place) = places.first() else { return Ok(false) };
        let folders = self.folders().lock().unwrap_or_else(PoisonError::into_inner);
        let taken = match folders.known(place.folder()) {
            Some(folder) => folder.holds(place.name()),
            None => self.root().folder.holds(place.as_str()),
        };
        taken.doing("look for", || place.to_string())
    }

    /// Everything that was filed in this batch is in the catalog: the sweep has no business with it any more.
    pub fn recorded(&self, number: u64) {
        if let Ok(process) = self.process() {
            process.manifest.recorded(number);
        }
    }

    /// Writes manifest and journal, and syncs them together with the files.
    fn sync_files(&self, steps: &mut [Step]) -> Option<u64> {
        let written = self.root().check_mounted().and_then(|()| {
            for step in steps.iter_mut().filter(|step| step.is_kept()) {
                step.outcome = self.put_down(&mut step.incoming);
            }
            self.write_down(steps)
        });
        let (number, mut targets) = match written {
            Ok(written) => written,
            Err(error) => {
                fail_all(steps, &self.or_full(error));
                return None;
            }
        };
        failpoint!("settle-written");
        let common = targets.len();
        let mut kept = Vec::new();
        for (index, step) in steps.iter().enumerate().filter(|(_, step)| step.is_kept() && step.outcome.is_ok()) {
            if let Some(part) = step.incoming.content.part() {
                kept.push(index);
                targets.push(Target::Part(Arc::clone(&part.handle)));
            }
        }
        let mut outcomes = self.sync_many(targets, kept.len()).into_iter();
        let io = |source, what: &str| StoreError::io("sync", what, source);
        for outcome in outcomes.by_ref().take(common) {
            if let Err(source) = outcome {
                fail_all(steps, &self.or_full(io(source, "the manifest of the batch")));
            }
        }
        for (index, outcome) in kept.into_iter().zip(outcomes) {
            if let (Some(step), Err(source)) = (steps.get_mut(index), outcome) {
                step.outcome = Err(self.or_full(io(source, "an incoming file")));
            }
        }
        number
    }

    /// Syncs these, of which so many are files of their own. One sync of the whole file system costs less than those of
    /// many files; it may have to write what others wrote, too.
    fn sync_many(&self, targets: Vec<Target>, files: usize) -> Vec<io::Result<()>> {
        if files < MANY || !self.root().sync_everything() {
            return self.sync(targets);
        }
        targets.iter().map(Target::was_synced).collect()
    }

    fn write_down(&self, steps: &[Step]) -> Result<(Option<u64>, Vec<Target>), StoreError> {
        let entry = |s: &Step| Entry::of(&s.incoming, &s.destination, &s.places);
        let sound = || steps.iter().filter(|step| step.outcome.is_ok());
        let entries: Vec<_> = sound().filter_map(entry).collect();
        let (mut number, mut targets) = (None, Vec::new());
        if !entries.is_empty() {
            let manifest = &self.process()?.manifest;
            number = Some(manifest.begin(entries).doing("write the manifest of the batch", String::new)?);
            targets.push(Target::Data(manifest.file()));
        }
        let mut journal: Vec<_> = sound().filter_map(Step::journal_entry).collect();
        journal.extend(links::entries(sound().filter_map(Step::linked)));
        if !journal.is_empty() {
            let file = self.journal().write(&journal).doing("write to the journal", String::new)?;
            targets.push(Target::Data(file));
        }
        Ok((number, targets))
    }

    /// Gives a file the first of its places that is free, or that holds the same bytes already.
    fn name(&self, step: &mut Step, index: usize, unsynced: &mut Unsynced) -> Result<(), StoreError> {
        if let Destination::Discard { of, length } = &step.destination {
            let (file, found) = self.open_data_set(of)?;
            if found != *length {
                return Err(StoreError::Missing { place: of.clone() });
            }
            let size = file.metadata().doing("look at", || of.to_string())?.len();
            step.settled = Some((of.clone(), size));
            return Ok(());
        }
        if let Some(there) = step.incoming.content.there().filter(|_| !step.destination.is_quarantine()) {
            if let Some(own) = &there.own {
                self.folder_of(own, index, unsynced)?;
            }
            step.settled = Some((there.place(), step.incoming.file_size));
            return Ok(());
        }
        let places = std::mem::take(&mut step.places);
        for place in places {
            let folder = self.folder_of(&place, index, unsynced)?;
            match self.rename(step, &place, &folder) {
                Ok(()) => {
                    step.settled = Some((place.into(), step.incoming.file_size));
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(self.or_full(StoreError::io("rename to", place.as_str(), error))),
            }
            if let Some(size) = self.holds_the_same(&place, step)? {
                step.settled = Some((place.into(), size));
                return Ok(());
            }
        }
        let name = step.incoming.identity.instance.to_string();
        Err(StoreError::damaged(name, "every place for it is taken by other bytes"))
    }

    fn rename(&self, step: &mut Step, place: &RelativePath, folder: &Folder) -> io::Result<()> {
        let Content::Part(part) = &mut step.incoming.content else {
            return Err(io::Error::other("it was not written"));
        };
        if let Some(Place::Stored(_)) = step.incoming.restores {
            if let Some(what) = self.in_the_way(place) {
                return Err(io::Error::other(format!("{what} has its name: move that away")));
            }
            return part.rename_over(folder, place.name());
        }
        match part.rename(folder, place.name()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Somebody removed a folder that we hold open. All of them are looked for again.
                let mut folders = self.folders().lock().unwrap_or_else(PoisonError::into_inner);
                folders.forget();
                let again = folders.open(place.folder())?;
                for (_, above) in &again.above {
                    above.sync()?;
                }
                part.rename(&again.folder, place.name())?;
                again.folder.sync()
            }
            other => other,
        }
    }

    /// Whether the file at this place has the same data set (a batch that was not recorded left it, or another process
    /// was quicker); its size if so. It is made durable once more: nobody knows how far the other one came.
    fn holds_the_same(&self, place: &RelativePath, step: &Step) -> Result<Option<u64>, StoreError> {
        let shown = || place.to_string();
        let (file, head) = match self.open_part10(place) {
            Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => return Ok(None),
            other => other?,
        };
        let size = file.metadata().doing("look at", shown)?.len();
        if size.saturating_sub(head.data_set_offset) != step.incoming.length {
            return Ok(None);
        }
        let (digest, _) = digest_of(&file, head.data_set_offset).doing("read", shown)?;
        if Some(digest) != step.incoming.digest {
            return Ok(None);
        }
        file.sync_data().doing("sync", shown)?;
        Ok(Some(size))
    }

    /// Opens the folder of a place, and notes what must be synced for it.
    fn folder_of(&self, place: &RelativePath, index: usize, unsynced: &mut Unsynced) -> Result<Folder, StoreError> {
        let mut folders = self.folders().lock().unwrap_or_else(PoisonError::into_inner);
        let opened = folders.open(place.folder()).doing("make the folder", || place.folder().to_owned());
        let opened = opened.map_err(|error| self.or_full(error))?;
        let own = (place.folder().to_owned(), opened.folder.clone());
        for (path, folder) in opened.above.into_iter().chain([own]) {
            unsynced.entry(path).or_insert_with(|| (folder, Vec::new())).1.push(index);
        }
        Ok(opened.folder)
    }

    fn sync_folders(&self, unsynced: Unsynced, steps: &mut [Step]) {
        let targets = unsynced.values().map(|(folder, _)| Target::Folder(folder.handle())).collect();
        let outcomes = self.sync(targets);
        let mut folders = self.folders().lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = true;
        for ((path, (_, waiting)), outcome) in unsynced.iter().zip(outcomes) {
            let Err(source) = outcome else { continue };
            all = false;
            for index in waiting {
                if let Some(step) = steps.get_mut(*index) {
                    step.outcome = Err(StoreError::io("sync the folder", path.as_str(), again(&source)));
                }
            }
        }
        if all {
            // The chain above each of them was synced with it, or before.
            for (path, (folder, _)) in &unsynced {
                folders.is_durable(path, folder);
            }
        }
    }
}

impl Step {
    fn new((incoming, destination): (Incoming, Destination)) -> Step {
        let places = places_of(&incoming, &destination);
        Step { incoming, destination, places, outcome: Ok(()), settled: None }
    }

    fn is_kept(&self) -> bool {
        !matches!(self.destination, Destination::Discard { .. })
    }

    fn journal_entry(&self) -> Option<JournalEntry> {
        let (reason, collision) = match &self.destination {
            Destination::Quarantine { reason } => (reason.clone(), false),
            Destination::Collision => (String::new(), true),
            _ => return None,
        };
        Some(JournalEntry::Quarantined {
            digest: self.incoming.digest?.to_string(),
            instance: self.incoming.identity.instance.as_str().to_owned(),
            reason,
            collision,
            at: jiff::Timestamp::now().as_millisecond(),
            filed_in: None,
        })
    }

    /// The file that is to be linked, if that is what becomes of it.
    fn linked(&self) -> Option<(Vec<u8>, LinkedText)> {
        let there = self.incoming.content.there().filter(|there| there.own.is_none())?;
        let variant = match self.destination {
            Destination::Image => false,
            Destination::Variant => true,
            _ => return None,
        };
        let Incoming { identity, transfer_syntax, digest, .. } = &self.incoming;
        Some(links::text((&there.link, identity, transfer_syntax, *digest, variant)))
    }

    fn finish(self) -> Result<Filed, StoreError> {
        self.outcome?;
        let instance = &self.incoming.identity.instance;
        let (place, file_size) = self.settled.ok_or_else(|| StoreError::damaged(instance, "it has no place"))?;
        Ok(Filed::new(self.incoming, self.destination, place, file_size))
    }
}

/// The names that an instance may get, the wanted one first.
pub(super) fn places_of(incoming: &Incoming, destination: &Destination) -> Vec<RelativePath> {
    if let Some(Place::Stored(place)) = &incoming.restores {
        return vec![place.clone()];
    }
    let Incoming { identity, digest: Some(digest), header, .. } = incoming else { return Vec::new() };
    let date = header.study_date.as_deref().and_then(|text| Date::parse(text).ok());
    let image = |suffix| place::image(identity, date, digest, suffix);
    let quarantine = |suffix| place::quarantine(&identity.instance, digest, suffix);
    match destination {
        Destination::Image => [Suffix::None, Suffix::Short, Suffix::Full].map(image).into(),
        Destination::Variant => [Suffix::Short, Suffix::Full].map(image).into(),
        Destination::Collision | Destination::Quarantine { .. } => [Suffix::Short, Suffix::Full].map(quarantine).into(),
        Destination::Discard { .. } => Vec::new(),
    }
}

/// The same fault for everything that has none yet.
fn fail_all(steps: &mut [Step], error: &StoreError) {
    for step in steps.iter_mut().filter(|step| step.outcome.is_ok()) {
        step.outcome = Err(error.clone());
    }
}
