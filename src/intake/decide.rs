//! Where an object belongs, from what it is and what is filed under its UID. Pure.

use super::IntakeError;
use super::compare::{Likeness, Verdict};
use crate::catalog::{Copy, Existing};
use crate::store::{Destination, Incoming, RelativePath};

/// What is to be done with an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It belongs there.
    Settle(Destination),
    /// The same bytes are filed at this place, and their file is damaged or gone: it takes their name.
    Restore(RelativePath),
    /// What is filed under its UID has other bytes: compare the values with these.
    Compare(Copy),
}

/// Whether it can be filed as far as its own header goes.
pub(super) fn is_valid(incoming: &Incoming) -> bool {
    fault(incoming).is_none()
}

/// Why it cannot be filed, whatever else is here.
pub(super) fn fault(incoming: &Incoming) -> Option<String> {
    if let Some(reason) = &incoming.set_aside {
        return Some(reason.clone());
    }
    if let Some(mismatch) = &incoming.mismatch {
        return Some(format!("UIDs contradict the command: {mismatch}"));
    }
    let identity = &incoming.identity;
    let missing = [
        ("Study Instance UID", identity.study.is_empty()),
        ("Series Instance UID", identity.series.is_empty()),
        ("SOP Instance UID", identity.instance.is_empty()),
    ];
    let missing: Vec<_> = missing.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
    match &incoming.scan {
        _ if missing.is_empty() => None,
        Err(error) => Some(format!("header cannot be read: {error}")),
        Ok(()) => Some(format!("identifiers missing or invalid: no {}", missing.join(", no "))),
    }
}

/// Where it belongs. `is_whole` tells whether a file that the catalog speaks of is there, with its length.
pub(super) fn decide(
    incoming: &Incoming,
    existing: Option<&Existing>,
    verdict: Option<&Verdict>,
    mut is_whole: impl FnMut(&Copy) -> Result<bool, IntakeError>,
) -> Result<Decision, IntakeError> {
    if let Some(reason) = fault(incoming) {
        return Ok(Decision::Settle(Destination::Quarantine { reason }));
    }
    let Some(existing) = existing else {
        return Ok(Decision::Settle(Destination::Image));
    };
    let current = &existing.current;
    let discard = |of: &Copy| Decision::Settle(Destination::Discard { of: of.place.clone(), length: of.length });
    let mut copies = std::iter::once(current).chain(&existing.variants);
    if let Some(same) = copies.find(|copy| copy.digest == incoming.digest) {
        return Ok(if is_whole(same)? { discard(same) } else { Decision::Restore(same.place.clone()) });
    }
    if !is_whole(current)? {
        // Nothing to compare with: both are kept, and a person decides.
        return Ok(Decision::Settle(Destination::Collision));
    }
    Ok(match verdict.filter(|verdict| verdict.against == current.digest) {
        None => Decision::Compare(current.clone()),
        Some(Verdict { likeness: Likeness::SameValues, .. }) => discard(current),
        Some(Verdict { likeness: Likeness::SamePixels, .. }) => Decision::Settle(Destination::Variant),
        Some(Verdict { likeness: Likeness::Different, .. }) => Decision::Settle(Destination::Collision),
    })
}
