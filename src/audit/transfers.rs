//! Transfers, told by study and association and not by object.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Audit;
use super::event::{AuditEvent, AuditOutcome, Party, Phase, StudyObjects, Way};

/// Studies of one association that are remembered at a time; more of them are told earlier.
const STUDIES: usize = 64;
/// SOP classes of one study; more are counted together, without a name.
const CLASSES: usize = 32;
/// A transfer that lasts is told in parts of this length.
const INTERVAL: Duration = Duration::from_secs(15 * 60);

/// What goes over one association in one direction. Dropped, it tells what has not been told.
pub struct Transfers {
    audit: Audit,
    way: Way,
    peer: Party,
    requestor: Option<Party>,
    studies: BTreeMap<String, Tally>,
    since: Instant,
}

#[derive(Default)]
struct Tally {
    good: BTreeMap<String, u64>,
    bad: BTreeMap<String, u64>,
    why: String,
}

impl Audit {
    /// Begins to count what an association brings or takes. `requestor` where somebody else than the peer asked for it.
    pub fn transfers(&self, way: Way, peer: Party, requestor: Option<Party>) -> Transfers {
        Transfers { audit: self.clone(), way, peer, requestor, studies: BTreeMap::new(), since: Instant::now() }
    }
}

impl Transfers {
    /// One object of a study; `failed` says why it did not arrive. Of the first of a study it is told that it begins.
    pub fn object(&mut self, study: &str, class: &str, failed: Option<&str>) {
        if !self.studies.contains_key(study) {
            if self.studies.len() >= STUDIES {
                self.tell();
            }
            let objects = StudyObjects { study: study.to_owned(), classes: Vec::new() };
            self.record(Phase::Begun, objects, AuditOutcome::Success);
        }
        let tally = self.studies.entry(study.to_owned()).or_default();
        let classes = if failed.is_some() { &mut tally.bad } else { &mut tally.good };
        let known = classes.len() < CLASSES || classes.contains_key(class);
        *classes.entry(if known { class.to_owned() } else { String::new() }).or_default() += 1;
        if let Some(why) = failed {
            why.clone_into(&mut tally.why);
        }
        if self.since.elapsed() > INTERVAL {
            self.tell();
        }
    }

    /// Tells what was counted so far.
    pub fn tell(&mut self) {
        self.since = Instant::now();
        for (study, tally) in std::mem::take(&mut self.studies) {
            let Tally { good, bad, why } = tally;
            // What succeeded and what failed are two messages (PS3.15 A.5.2).
            for (classes, outcome) in [(good, AuditOutcome::Success), (bad, AuditOutcome::Minor(why))] {
                if !classes.is_empty() {
                    let objects = StudyObjects { study: study.clone(), classes: classes.into_iter().collect() };
                    self.record(Phase::Ended, objects, outcome);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.studies.len()
    }

    fn record(&self, phase: Phase, objects: StudyObjects, outcome: AuditOutcome) {
        let (way, peer, requestor) = (self.way, self.peer.clone(), self.requestor.clone());
        self.audit.record(AuditEvent::Transfer { phase, way, peer, requestor, objects, outcome });
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        self.tell();
    }
}
