//! What the associations of one sample PACS have in common: archive, behaviour, log, and what it remembers of retrieves.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

use super::archive::{Archive, Fate, SampleObject};
use super::log::{Event, Log};
use super::noise::Noise;
use super::profile::Profile;
use crate::dicom::{AeTitle, SopInstanceUid, StudyInstanceUid};

/// The state of a sample PACS.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ae_title: AeTitle,
    pub(crate) archive: Archive,
    /// Objects of each study, by index.
    studies: HashMap<StudyInstanceUid, Vec<usize>>,
    /// The studies in the order of the archive.
    order: Vec<StudyInstanceUid>,
    profile: Mutex<Profile>,
    destinations: Mutex<HashMap<String, SocketAddr>>,
    log: Mutex<Log>,
    /// What outlives the association that began it.
    pub(crate) tasks: TaskTracker,
    memory: Mutex<Memory>,
}

/// What a sample PACS remembers.
#[derive(Debug)]
struct Memory {
    retrieves: HashMap<StudyInstanceUid, u32>,
    tries: HashMap<SopInstanceUid, u32>,
    broken_off: u32,
    offers: VecDeque<Instant>,
    accepted: u64,
    noise: Noise,
}

/// A poisoned lock only means that some other association panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        archive: Archive,
        profile: Profile,
        ae_title: AeTitle,
        destinations: HashMap<AeTitle, SocketAddr>,
    ) -> Self {
        let mut studies: HashMap<StudyInstanceUid, Vec<usize>> = HashMap::new();
        for (index, object) in archive.objects().iter().enumerate() {
            studies.entry(object.identity.study.clone()).or_default().push(index);
        }
        Shared {
            order: archive.studies(),
            ae_title,
            archive,
            studies,
            profile: Mutex::new(profile),
            destinations: Mutex::new(destinations.into_iter().map(|(ae, to)| (ae.to_string(), to)).collect()),
            log: Mutex::default(),
            tasks: TaskTracker::new(),
            memory: Mutex::new(Memory {
                retrieves: HashMap::new(),
                tries: HashMap::new(),
                broken_off: 0,
                offers: VecDeque::new(),
                accepted: 0,
                noise: Noise::new(11),
            }),
        }
    }

    pub(crate) fn profile(&self) -> Profile {
        lock(&self.profile).clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Profile)) {
        change(&mut lock(&self.profile));
    }

    pub(crate) fn destination(&self, ae_title: &str) -> Option<SocketAddr> {
        lock(&self.destinations).get(ae_title).copied()
    }

    pub(crate) fn register(&self, ae_title: &AeTitle, address: SocketAddr) {
        lock(&self.destinations).insert(ae_title.to_string(), address);
    }

    pub(crate) fn forget(&self, ae_title: &AeTitle) {
        lock(&self.destinations).remove(ae_title.as_str());
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    pub(crate) fn note(&self, association: u64, event: Event) {
        self.log().add(association, event);
    }

    /// The studies, in the order of the archive.
    pub(crate) fn studies(&self) -> &[StudyInstanceUid] {
        &self.order
    }

    /// The objects of a study, listed or not.
    pub(crate) fn study<'a>(&'a self, uid: &StudyInstanceUid) -> impl Iterator<Item = &'a SampleObject> {
        let indices = self.studies.get(uid).map(Vec::as_slice).unwrap_or_default();
        indices.iter().filter_map(|&index| self.archive.objects().get(index))
    }

    /// How many retrieves of a study have ended.
    pub(crate) fn retrieves(&self, study: &StudyInstanceUid) -> u32 {
        lock(&self.memory).retrieves.get(study).copied().unwrap_or(0)
    }

    /// A retrieve of the study has ended.
    pub(crate) fn retrieved(&self, study: &StudyInstanceUid) {
        *lock(&self.memory).retrieves.entry(study.clone()).or_default() += 1;
    }

    /// Whether the sub-operation of this object fails this time.
    pub(crate) fn fails(&self, object: &SampleObject) -> bool {
        let Fate::Fails(times) = object.fate else { return false };
        let mut memory = lock(&self.memory);
        let tries = memory.tries.entry(object.identity.instance.clone()).or_default();
        *tries = tries.saturating_add(1);
        *tries <= times || times == u32::MAX
    }

    /// Whether one more retrieve may be broken off, which is counted.
    pub(crate) fn may_break_off(&self, times: u32) -> bool {
        let mut memory = lock(&self.memory);
        let may = memory.broken_off < times;
        memory.broken_off += u32::from(may);
        may
    }

    /// Counts a request for an association; whether there were more than `limit` within a second.
    pub(crate) fn is_too_fast(&self, limit: usize) -> bool {
        let mut memory = lock(&self.memory);
        let now = Instant::now();
        while memory.offers.front().is_some_and(|&then| now.duration_since(then) > Duration::from_secs(1)) {
            memory.offers.pop_front();
        }
        if memory.offers.len() >= limit {
            return true;
        }
        memory.offers.push_back(now);
        false
    }

    /// A number below 100, the same sequence in each run.
    pub(crate) fn dice(&self) -> u64 {
        lock(&self.memory).noise.below(100)
    }

    /// How many associations were accepted before this one.
    pub(crate) fn count_accepted(&self) -> u64 {
        let mut memory = lock(&self.memory);
        memory.accepted += 1;
        memory.accepted - 1
    }

    /// A number that no other retrieve has.
    pub(crate) fn number(&self) -> u64 {
        lock(&self.memory).noise.next()
    }
}
