//! What a sample PACS saw and did, for tests to look at.

use std::collections::VecDeque;
use std::time::Instant;

use crate::dicom::{QueryLevel, SopInstanceUid, Status, Tag};

/// The most entries that are kept; the oldest go first.
const LONGEST: usize = 200_000;

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// On which association; 0 before there was one.
    pub association: u64,
    /// What.
    pub event: Event,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A peer opened an association.
    Opened {
        /// Its AE title.
        calling: String,
    },
    /// A peer's request for an association was rejected.
    Rejected {
        /// Its AE title.
        calling: String,
    },
    /// An association that a peer opened has ended.
    Closed {
        /// How.
        ending: Ending,
    },
    /// A C-ECHO.
    Echo,
    /// A C-FIND has begun.
    Find {
        /// In the Patient Root model.
        patient_root: bool,
        /// Its level.
        level: Option<QueryLevel>,
        /// Its keys, decoded; those without a value too.
        keys: Vec<(Tag, String)>,
    },
    /// A C-FIND has ended.
    FindEnded {
        /// With this status.
        status: Status,
        /// After so many rows.
        rows: usize,
    },
    /// A C-MOVE or C-GET has begun.
    Retrieve(Request),
    /// A C-MOVE or C-GET has ended with a response.
    RetrieveEnded {
        /// With this status.
        status: Status,
    },
    /// A C-CANCEL has come.
    Cancel,
    /// An object was sent.
    Stored {
        /// Which.
        instance: SopInstanceUid,
        /// The status of the C-STORE response; `None` when there was none.
        status: Option<Status>,
    },
}

/// How an association ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The peer released it.
    Released,
    /// The peer aborted it or its connection was cut.
    Lost,
    /// We aborted it.
    Aborted,
}

/// A retrieve, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The move destination; `None` for a C-GET.
    pub destination: Option<String>,
    /// Its level.
    pub level: Option<QueryLevel>,
    /// Study Instance UIDs.
    pub studies: Vec<String>,
    /// Series Instance UIDs.
    pub series: Vec<String>,
    /// SOP Instance UIDs.
    pub instances: Vec<String>,
}

/// The entries, and how many associations were open at once.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    open: Gauge,
    stores: Gauge,
    sent: usize,
}

/// A number that rises and falls, and the highest that it was.
#[derive(Debug, Default, Clone, Copy)]
struct Gauge {
    now: usize,
    most: usize,
}

impl Gauge {
    fn up(&mut self) {
        self.now += 1;
        self.most = self.most.max(self.now);
    }

    fn down(&mut self) {
        self.now = self.now.saturating_sub(1);
    }
}

impl Log {
    pub(crate) fn add(&mut self, association: u64, event: Event) {
        if self.entries.len() == LONGEST {
            self.entries.pop_front();
        }
        self.sent += usize::from(matches!(event, Event::Stored { .. }));
        self.entries.push_back(Entry { at: Instant::now(), association, event });
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.iter().cloned().collect()
    }

    /// Counts one more association of a peer, unless so many are open.
    pub(crate) fn admit(&mut self, limit: usize) -> bool {
        let room = self.open.now < limit;
        if room {
            self.open.up();
        }
        room
    }

    pub(crate) fn leave(&mut self) {
        self.open.down();
    }

    pub(crate) fn store_opened(&mut self) {
        self.stores.up();
    }

    pub(crate) fn store_closed(&mut self) {
        self.stores.down();
    }

    pub(crate) fn open(&self) -> usize {
        self.open.now
    }

    pub(crate) fn most_open(&self) -> usize {
        self.open.most
    }

    pub(crate) fn stores(&self) -> usize {
        self.stores.now
    }

    pub(crate) fn most_stores(&self) -> usize {
        self.stores.most
    }

    pub(crate) fn sent(&self) -> usize {
        self.sent
    }
}
