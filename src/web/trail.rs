//! What the console tells the audit trail: who looked at which study, and what became of accounts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Web;
use super::guard::Signed;
use crate::audit::{Alert, AuditEvent, StudyObjects};

/// Looks at one study in one session that are told once.
const ONE_LOOK: Duration = Duration::from_secs(15 * 60);
/// The most that is remembered of that; what was looked at longest ago is forgotten, and told again.
const REMEMBERED: usize = 10_000;

/// Which session has looked at which study lately. A clone is another handle.
#[derive(Debug, Clone, Default)]
pub struct Looks(Arc<Mutex<HashMap<(i64, String), Instant>>>);

impl Looks {
    /// Whether this look is worth telling.
    fn is_new(&self, session: i64, study: &str, now: Instant) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (session, study.to_owned());
        if known.get(&key).is_some_and(|told| now.duration_since(*told) < ONE_LOOK) {
            return false;
        }
        if known.len() >= REMEMBERED {
            known.retain(|_, told| now.duration_since(*told) < ONE_LOOK);
        }
        if known.len() >= REMEMBERED {
            let mut all: Vec<Instant> = known.values().copied().collect();
            let (_, middle, _) = all.select_nth_unstable(REMEMBERED / 2);
            let middle = *middle;
            known.retain(|_, told| *told > middle);
        }
        known.insert(key, now);
        true
    }
}

impl Web {
    /// Somebody looked at a study.
    pub(super) fn looked(&self, signed: &Signed, study: &str) {
        if self.looks.is_new(signed.session.id, study, Instant::now()) {
            let study = StudyObjects { study: study.to_owned(), classes: Vec::new() };
            self.audit.record(AuditEvent::Viewed { who: signed.party(), study });
        }
    }

    /// Somebody changed an account.
    pub(super) fn changed(&self, signed: &Signed, alert: Alert, what: String) {
        self.audit.record(AuditEvent::Security { alert, who: signed.party(), what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_told_once_in_a_while_and_not_remembered_without_end() {
        let (looks, now) = (Looks::default(), Instant::now());
        assert!(looks.is_new(1, "1.2", now));
        assert!(!looks.is_new(1, "1.2", now + ONE_LOOK - Duration::from_secs(1)));
        assert!(looks.is_new(2, "1.2", now) && looks.is_new(1, "1.3", now));
        assert!(looks.is_new(1, "1.2", now + ONE_LOOK));
        for n in 0..3 * REMEMBERED {
            let later = now + Duration::from_millis(u64::try_from(n).unwrap() / 100);
            assert!(looks.is_new(3, &n.to_string(), later));
        }
        assert!(looks.0.lock().unwrap().len() <= REMEMBERED);
    }
}
