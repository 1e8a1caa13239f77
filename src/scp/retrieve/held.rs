//! In which transfer syntax a presentation context for C-GET is accepted: many viewers put all that they take into one,
//! and only one can be accepted before it is known what they ask for. So what counts is what is held of the SOP class.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::debug;

use crate::assoc::{Answer, Offered};
use crate::catalog::{Catalog, HeldKind};
use crate::dataset::is_native;
use crate::dicom::{TransferSyntaxUid, uids};
use crate::outlet::can_convert;

/// How many of the latest instances are looked at.
const SAMPLED: usize = 2_000;
/// How long that is good for.
const FRESH: Duration = Duration::from_secs(2);

/// What the archive holds, roughly. A clone is another handle.
#[derive(Debug, Clone, Default)]
pub(in crate::scp) struct Held(Arc<Mutex<Sample>>);

#[derive(Debug, Default)]
struct Sample {
    kinds: Arc<[HeldKind]>,
    taken: Option<Instant>,
}

impl Held {
    /// Looks again, if that is due.
    pub(in crate::scp) async fn refresh(&self, catalog: &Catalog) {
        if self.sample().taken.is_some_and(|taken| taken.elapsed() < FRESH) {
            return;
        }
        match catalog.held_kinds(SAMPLED).await {
            Ok(kinds) => *self.sample() = Sample { kinds: kinds.into(), taken: Some(Instant::now()) },
            // A retrieve will say so aloud; here it only costs a better choice.
            Err(error) => debug!(%error, "the catalog does not say what it holds"),
        }
    }

    /// Accepts a context in the transfer syntax in which most of what is held of its class can be sent.
    pub(in crate::scp) fn accept(&self, offered: &Offered, decoding: bool) -> Answer {
        let held = Arc::clone(&self.sample().kinds);
        choose(&held, offered, decoding).map_or(Answer::TransferSyntaxesNotSupported, Answer::Accept)
    }

    fn sample(&self) -> MutexGuard<'_, Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one that most objects can be sent in; of several, that which most need no conversion for; then a native one, the
/// most telling first; then the first that was offered.
fn choose(held: &[HeldKind], offered: &Offered, decoding: bool) -> Option<TransferSyntaxUid> {
    let of_class = || held.iter().filter(|kind| kind.class.as_str() == offered.abstract_syntax.as_str());
    let count = |fits: &dyn Fn(&TransferSyntaxUid) -> bool| -> u64 {
        of_class().filter(|kind| fits(&kind.transfer_syntax)).map(|kind| kind.instances).sum()
    };
    let rank = |syntax: &TransferSyntaxUid| match syntax.as_str() {
        uids::EXPLICIT_LE => 3,
        uids::IMPLICIT_LE => 2,
        _ if is_native(syntax) => 1,
        _ => 0,
    };
    let worth = |syntax: &TransferSyntaxUid| {
        (count(&|held| can_convert(held, syntax, decoding)), count(&|held| held == syntax), rank(syntax))
    };
    // `max_by_key` takes the last of equals.
    offered
        .transfer_syntaxes
        .iter()
        .filter(|syntax| !syntax.is_empty())
        .rev()
        .max_by_key(|syntax| worth(syntax))
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::{SopClassUid, Uid};

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    const JPEG: &str = "1.2.840.10008.1.2.4.70";
    const J2K: &str = "1.2.840.10008.1.2.4.90";

    #[test]
    fn a_context_is_accepted_in_what_most_of_its_class_can_be_sent_in() {
        let chosen = |held: &[(&str, &str, u64)], offered: &[&str]| {
            let kind = |(class, syntax, instances): &(&str, &str, u64)| HeldKind {
                class: SopClassUid::new(class),
                transfer_syntax: TransferSyntaxUid::new(syntax),
                instances: *instances,
            };
            let held: Vec<_> = held.iter().map(kind).collect();
            let transfer_syntaxes = offered.iter().map(|syntax| TransferSyntaxUid::new(syntax)).collect();
            let offered = Offered { id: 1, abstract_syntax: Uid::new(CT), transfer_syntaxes, roles: None };
            choose(&held, &offered, false).map(|syntax| syntax.to_string()).unwrap_or_default()
        };
        let (i, e, b) = (uids::IMPLICIT_LE, uids::EXPLICIT_LE, uids::EXPLICIT_BE);
        let all = [J2K, JPEG, i, b, e];
        // Nothing is known: what native objects are sent in.
        assert_eq!(chosen(&[], &all), e);
        assert_eq!(chosen(&[("1.2.3", JPEG, 9)], &all), e);
        assert_eq!(chosen(&[], &[J2K, JPEG]), J2K);
        assert_eq!(chosen(&[], &[]), "");
        // Most is compressed; or most is native, in several encodings together.
        assert_eq!(chosen(&[(CT, JPEG, 9), (CT, e, 8)], &all), JPEG);
        assert_eq!(chosen(&[(CT, JPEG, 9), (CT, e, 5), (CT, i, 6)], &all), i);
        assert_eq!(chosen(&[(CT, JPEG, 9), (CT, e, 5), (CT, i, 6)], &[b, e]), e);
        assert_eq!(chosen(&[(CT, uids::DEFLATED_LE, 9)], &[JPEG, i, uids::DEFLATED_LE]), uids::DEFLATED_LE);
        assert_eq!(chosen(&[(CT, uids::DEFLATED_LE, 9)], &[JPEG, i]), i);
    }
}
