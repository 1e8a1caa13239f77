//! Where an object belongs, from what it is and what is filed under its UID. Pure.

use super::IntakeError;
use super::compare::{Likeness, Verdict};
use crate::catalog::{Copy, Existing};
use crate::store::{Destination, Incoming, Link, Place};

/// What is to be done with an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It belongs there.
    Settle(Destination),
    /// Its bytes should be at this place and are not, or what was there was never known: it takes that row over. It is
    /// settled as this.
    Restore(Place, Destination),
    /// Something must be found out first, which may take long.
    First(Chore),
}

/// What is to be found out, or done, before it can be said where an object belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chore {
    /// What is filed under its UID has other bytes: compare the values with these.
    Compare(Copy),
    /// The digest of the object itself, which was to be linked without.
    Digest,
    /// The digest of what is filed and linked without.
    Learn(Copy),
    /// Its bytes were to stay where they are, and cannot: copy them.
    Fetch,
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

/// Where it belongs. `copied` is the file that it was copied from, if a copy was asked for; `is_whole` tells whether a
/// file that the catalog speaks of is there, and is what it was.
pub(super) fn decide(
    incoming: &Incoming,
    existing: Option<&Existing>,
    verdict: Option<&Verdict>,
    copied: Option<&Link>,
    is_whole: impl FnMut(&Copy) -> Result<bool, IntakeError>,
) -> Result<Decision, IntakeError> {
    let decision = match (fault(incoming), existing) {
        (Some(reason), _) => Decision::Settle(Destination::Quarantine { reason }),
        (None, None) => Decision::Settle(Destination::Image),
        (None, Some(existing)) => beside(incoming, existing, verdict, copied, is_whole)?,
    };
    // Quarantine is in the storage folder; and where a file of ours is lost, a link is no substitute.
    let needs_a_copy = match &decision {
        Decision::Settle(destination) => destination.is_quarantine(),
        Decision::Restore(place, _) => place.stored().is_some(),
        Decision::First(_) => false,
    };
    let stays = incoming.stays_at().is_some();
    Ok(if needs_a_copy && stays { Decision::First(Chore::Fetch) } else { decision })
}

/// Where an object belongs beside what is filed under its UID.
fn beside(
    incoming: &Incoming,
    existing: &Existing,
    verdict: Option<&Verdict>,
    copied: Option<&Link>,
    mut is_whole: impl FnMut(&Copy) -> Result<bool, IntakeError>,
) -> Result<Decision, IntakeError> {
    let current = &existing.current;
    let copies = || std::iter::once(current).chain(&existing.variants);
    let discard = |of: &Copy| Decision::Settle(Destination::Discard { of: of.place.clone(), length: of.length });
    if existing.renamed {
        return Ok(discard(current));
    }
    let restore = |of: &Copy| {
        let destination = if of.place == current.place { Destination::Image } else { Destination::Variant };
        Decision::Restore(of.place.clone(), destination)
    };
    // Where a copy was asked for, a link to the same bytes is none, and gives way to it.
    let gives_way = |of: &Copy| copied.is_some() && of.place.linked().is_some();
    if let Some(itself) = incoming.stays_at().and_then(|there| copies().find(|copy| copy.place == there)) {
        let tells_more = itself.digest.is_none() && incoming.digest.is_some();
        return Ok(if tells_more { restore(itself) } else { discard(itself) });
    }
    let Some(digest) = incoming.digest else { return Ok(Decision::First(Chore::Digest)) };
    if let Some(same) = copies().find(|copy| copy.digest == Some(digest)) {
        return Ok(if gives_way(same) || !is_whole(same)? { restore(same) } else { discard(same) });
    }
    let is_itself = |copy: &&Copy| copy.digest.is_none() && copied.is_some() && copy.place.linked() == copied;
    if let Some(itself) = copies().find(is_itself) {
        return Ok(restore(itself));
    }
    for unknown in copies().filter(|copy| copy.digest.is_none() && copy.length == incoming.length) {
        if is_whole(unknown)? {
            return Ok(Decision::First(Chore::Learn(unknown.clone())));
        }
    }
    if !is_whole(current)? {
        // Of a linked file that is gone nothing is left but its row, which says what is here. Of what was ours there may be
        // something, and nothing to compare with: both are kept, and a person decides.
        let same_series = existing.study == incoming.identity.study && existing.series == incoming.identity.series;
        let gives_way = current.digest.is_none() || current.place.linked().is_some() && same_series;
        return Ok(if gives_way { restore(current) } else { Decision::Settle(Destination::Collision) });
    }
    Ok(match verdict.filter(|verdict| verdict.against == current.place) {
        None => Decision::First(Chore::Compare(current.clone())),
        // In another encoding it is no copy of the linked bytes; kept beside them, it is there when they are not.
        Some(Verdict { likeness: Likeness::SameValues, .. }) if gives_way(current) => {
            Decision::Settle(Destination::Variant)
        }
        Some(Verdict { likeness: Likeness::SameValues, .. }) => discard(current),
        Some(Verdict { likeness: Likeness::SamePixels, .. }) if existing.moved => discard(current),
        Some(Verdict { likeness: Likeness::SamePixels, .. }) => Decision::Settle(Destination::Variant),
        Some(Verdict { likeness: Likeness::Different, .. }) => Decision::Settle(Destination::Collision),
    })
}
