//! Objects that are about others and would be left alone without them.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::dicom::{SopClassUid, SopInstanceUid};

/// What of the standard's storage classes is about other objects, below 1.2.840.10008.5.1.4.1.1: presentation states
/// (11, 9.100), registrations and fiducials (66.1 to 66.3), segmentations (66.4 on), Real World Value maps, reports and
/// key objects, RT objects but for RT images, parametric maps.
const ROOT: &str = "1.2.840.10008.5.1.4.1.1.";
const CLASSES: [&str; 20] = [
    "9.100.1", "9.100.2", "11", "30", "66.1", "66.2", "66.3", "66.4", "66.5", "66.6", "66.7", "66.8", "67", "88",
    "481.2", "481.3", "481.5", "481.8", "481.10", "481.11",
];

/// Whether objects of this class are offered to go along with what they are about. Images are not: a localizer is named
/// by every slice.
pub fn is_companion_class(class: &SopClassUid) -> bool {
    let Some(arc) = class.as_str().strip_prefix(ROOT) else { return false };
    CLASSES.iter().any(|of| arc.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// Those of the candidates that refer to nothing but what is moved and to each other's companions: a plan goes along
/// with its structure set, and that with its images. Each candidate comes with what it [refers to](super::referred).
pub fn companions(
    candidates: &[(SopInstanceUid, BTreeSet<SopInstanceUid>)],
    moved: &HashSet<SopInstanceUid>,
) -> Vec<SopInstanceUid> {
    // How many objects that stay each candidate refers to, and who refers to whom.
    let mut staying: Vec<usize> = Vec::with_capacity(candidates.len());
    let mut referring: HashMap<&SopInstanceUid, Vec<usize>> = HashMap::new();
    let mut ready = Vec::new();
    for (index, (uid, refers)) in candidates.iter().enumerate() {
        let mut count = 0;
        for to in refers.iter().filter(|to| !moved.contains(to)) {
            referring.entry(to).or_default().push(index);
            count += 1;
        }
        staying.push(count);
        if count == 0 && !refers.is_empty() && !moved.contains(uid) {
            ready.push(index);
        }
    }
    let mut found = Vec::new();
    while let Some((uid, _)) = ready.pop().and_then(|index| candidates.get(index)) {
        found.push(uid.clone());
        for index in referring.remove(uid).unwrap_or_default() {
            if let Some(count) = staying.get_mut(index) {
                *count = count.saturating_sub(1);
                if *count == 0 && candidates.get(index).is_some_and(|(uid, _)| !moved.contains(uid)) {
                    ready.push(index);
                }
            }
        }
    }
    found.sort();
    found
}
