//! Listed = filed? The verdict on a study, from sets of UIDs. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::dicom::{SeriesInstanceUid, SopInstanceUid};

/// What the source says that the study holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// The instances at IMAGE level, each with its series.
    Instances(BTreeMap<SopInstanceUid, SeriesInstanceUid>),
    /// A number only, where the source is configured to be proven by count.
    Count(u32),
}

/// What is here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Here {
    /// Instances of the study that are filed.
    pub filed: BTreeSet<SopInstanceUid>,
    /// Instances that are filed, but in another study.
    pub elsewhere: BTreeSet<SopInstanceUid>,
    /// Instances of the study, from this source, with a copy in quarantine.
    pub quarantined: BTreeSet<SopInstanceUid>,
    /// Those of them whose other copy, with other pixels, is the filed one.
    pub collided: BTreeSet<SopInstanceUid>,
    /// What this source delivered for the study in this job, filed or not.
    pub received: BTreeSet<SopInstanceUid>,
    /// What it delivered in earlier jobs that proved nothing.
    pub brought_before: BTreeSet<SopInstanceUid>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that is listed is filed, nothing is in quarantine, and nothing unlisted came.
    Proven,
    /// The source lists nothing.
    Empty,
    /// These are listed and not here (for a count: how many, without names).
    Short {
        /// With their series.
        missing: Vec<(SeriesInstanceUid, SopInstanceUid)>,
        /// How many.
        count: u32,
    },
    /// All is here, but these copies are in quarantine.
    Quarantined(u32),
    /// All is here, but these UIDs came with other pixels than the filed instances have.
    Collided(u32),
    /// The source delivered this many instances that it does not list. `missing`: how many it lists and did not
    /// deliver; both together mean that it makes up UIDs anew with each retrieve.
    Over {
        /// Not listed, but delivered.
        unlisted: u32,
        /// Listed, but not here.
        missing: u32,
    },
}

/// Compares. Unlisted arrivals weigh more than missing ones: asking again would only bring more of them. Those of
/// earlier jobs do not keep what is missing from being asked for, and count in the end.
pub fn reconcile(listing: &Listing, here: &Here) -> Verdict {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    match listing {
        Listing::Instances(listed) => {
            if listed.is_empty() && here.received.is_empty() && here.brought_before.is_empty() {
                return Verdict::Empty;
            }
            let missing: Vec<_> = listed
                .iter()
                .filter(|(uid, _)| {
                    !here.filed.contains(*uid) && !here.quarantined.contains(*uid) && !here.elsewhere.contains(*uid)
                })
                .map(|(uid, series)| (series.clone(), uid.clone()))
                .collect();
            let unlisted = here.received.iter().filter(|uid| !listed.contains_key(*uid)).count();
            if unlisted > 0 {
                return Verdict::Over { unlisted: count(unlisted), missing: count(missing.len()) };
            }
            if !missing.is_empty() {
                return Verdict::Short { count: count(missing.len()), missing };
            }
            let unlisted = here.brought_before.iter().filter(|uid| !listed.contains_key(*uid)).count();
            if unlisted > 0 {
                return Verdict::Over { unlisted: count(unlisted), missing: 0 };
            }
        }
        Listing::Count(0) if here.received.is_empty() => return Verdict::Empty,
        Listing::Count(listed) => {
            let filed = count(here.filed.len()) + count(here.quarantined.difference(&here.filed).count());
            if filed > *listed {
                return Verdict::Over { unlisted: filed - listed, missing: 0 };
            }
            if filed < *listed {
                return Verdict::Short { missing: Vec::new(), count: listed - filed };
            }
        }
    }
    let relevant = |uid: &&SopInstanceUid| match listing {
        Listing::Instances(listed) => listed.contains_key(*uid),
        Listing::Count(_) => true,
    };
    let collided = here.collided.iter().chain(&here.elsewhere).filter(relevant).count();
    if collided > 0 {
        return Verdict::Collided(count(collided));
    }
    match here.quarantined.iter().filter(relevant).count() {
        0 => Verdict::Proven,
        n => Verdict::Quarantined(count(n)),
    }
}

/// A digest of a list, independent of its order: evidence that is small enough to be kept for every study.
pub fn listing_digest(listed: &BTreeMap<SopInstanceUid, SeriesInstanceUid>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for (instance, series) in listed {
        hasher.update(instance.as_str().as_bytes()).update(&[0]).update(series.as_str().as_bytes()).update(&[1]);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(names: &[&str]) -> BTreeSet<SopInstanceUid> {
        names.iter().map(|n| SopInstanceUid::new(n)).collect()
    }

    fn listing(names: &[&str]) -> Listing {
        Listing::Instances(names.iter().map(|n| (SopInstanceUid::new(n), SeriesInstanceUid::new("9"))).collect())
    }

    #[test]
    fn a_study_is_proven_only_when_both_sets_agree() {
        let here = |filed: &[&str], received: &[&str]| Here {
            filed: uids(filed),
            received: uids(received),
            ..Here::default()
        };
        let abc = listing(&["a", "b", "c"]);
        assert_eq!(reconcile(&abc, &here(&["a", "b", "c"], &["a", "b", "c"])), Verdict::Proven);
        // Filed by another way, such as a folder: no arrival, but proven; and what others sent is no obstacle.
        assert_eq!(reconcile(&abc, &here(&["a", "b", "c", "d"], &[])), Verdict::Proven);
        assert!(
            matches!(reconcile(&abc, &here(&["a", "b"], &["a", "b"])), Verdict::Short { count: 1, missing } if missing[0].1.as_str() == "c")
        );
        assert_eq!(reconcile(&abc, &here(&["a", "b", "c", "d"], &["d"])), Verdict::Over { unlisted: 1, missing: 0 });
        assert_eq!(
            reconcile(&abc, &here(&["x", "y", "z"], &["x", "y", "z"])),
            Verdict::Over { unlisted: 3, missing: 3 }
        );
        // An earlier job was sent what is not listed: this one says so too, once everything is here.
        let before = |filed: &[&str]| Here { brought_before: uids(&["d"]), ..here(filed, &[]) };
        assert_eq!(reconcile(&abc, &before(&["a", "b", "c", "d"])), Verdict::Over { unlisted: 1, missing: 0 });
        assert!(matches!(reconcile(&abc, &before(&["a", "b", "d"])), Verdict::Short { count: 1, .. }));
        assert_eq!(reconcile(&listing(&[]), &Here::default()), Verdict::Empty);
        assert_eq!(reconcile(&listing(&[]), &here(&["a"], &["a"])), Verdict::Over { unlisted: 1, missing: 0 });
    }

    #[test]
    fn quarantine_and_collisions_are_no_proof() {
        let ab = listing(&["a", "b"]);
        let here =
            Here { filed: uids(&["a"]), quarantined: uids(&["b"]), received: uids(&["a", "b"]), ..Here::default() };
        assert_eq!(reconcile(&ab, &here), Verdict::Quarantined(1));
        let here =
            Here { filed: uids(&["a", "b"]), quarantined: uids(&["b"]), collided: uids(&["b"]), ..Here::default() };
        assert_eq!(reconcile(&ab, &here), Verdict::Collided(1));
        let here = Here { filed: uids(&["a"]), elsewhere: uids(&["b"]), ..Here::default() };
        assert_eq!(reconcile(&ab, &here), Verdict::Collided(1));
    }

    #[test]
    fn a_count_proves_by_number_alone() {
        let here = |filed: &[&str]| Here { filed: uids(filed), received: uids(filed), ..Here::default() };
        assert_eq!(reconcile(&Listing::Count(2), &here(&["a", "b"])), Verdict::Proven);
        assert_eq!(reconcile(&Listing::Count(3), &here(&["a", "b"])), Verdict::Short { missing: vec![], count: 1 });
        assert_eq!(reconcile(&Listing::Count(1), &here(&["a", "b"])), Verdict::Over { unlisted: 1, missing: 0 });
        assert_eq!(reconcile(&Listing::Count(0), &here(&[])), Verdict::Empty);
    }

    #[test]
    fn the_digest_tells_lists_apart() {
        let of = |names: &[&str]| match listing(names) {
            Listing::Instances(l) => listing_digest(&l),
            Listing::Count(_) => unreachable!(),
        };
        assert_eq!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
    }
}
