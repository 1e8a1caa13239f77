//! What the identifier of a retrieve asks for, and what is wrong with it (PS3.4 C.4.2.2.1): a level, one value for each
//! unique key above it, and one or more for its own.

use crate::catalog::Selection;
use crate::dataset::Elements;
use crate::dicom::{
    Encoding, QueryLevel, SeriesInstanceUid, SopInstanceUid, Status, StudyInstanceUid, Tag, Uid, tags, uids,
};
use crate::scp::refusal::Refusal;

/// A retrieve that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) level: QueryLevel,
    pub(super) selection: Selection,
}

/// Reads an identifier for the information model of the SOP class.
pub(super) fn read(class: &str, bytes: &[u8], encoding: Encoding) -> Result<Request, Refusal> {
    let keys = Elements::read(bytes, encoding)
        .map_err(|_| Refusal::new(Status::CANNOT_UNDERSTAND, "the identifier cannot be read"))?;
    let patient_root = matches!(class, uids::PATIENT_ROOT_MOVE | uids::PATIENT_ROOT_GET);
    let level = keys.text(tags::QUERY_RETRIEVE_LEVEL).as_deref().and_then(QueryLevel::parse);
    let level = level.filter(|level| patient_root || *level != QueryLevel::Patient).ok_or_else(|| {
        let levels = if patient_root { "PATIENT, STUDY, SERIES or IMAGE" } else { "STUDY, SERIES or IMAGE" };
        Refusal::of(tags::QUERY_RETRIEVE_LEVEL, &format!("the level must be {levels}"))
    })?;
    let mut selection = Selection::default();
    if patient_root {
        let id = keys.text(tags::PATIENT_ID).filter(|id| !id.contains('\\'));
        selection.patient_id = Some(id.ok_or_else(|| Refusal::of(tags::PATIENT_ID, "one Patient ID is needed"))?);
    }
    let key = |of: QueryLevel, tag: Tag, name: &str| match level.cmp(&of) {
        // Keys below the level are not looked at.
        std::cmp::Ordering::Less => Ok(Vec::new()),
        at => list(&keys, tag, name, at == std::cmp::Ordering::Equal),
    };
    let studies = key(QueryLevel::Study, tags::STUDY_INSTANCE_UID, "Study Instance UID")?;
    let series = key(QueryLevel::Series, tags::SERIES_INSTANCE_UID, "Series Instance UID")?;
    let instances = key(QueryLevel::Image, tags::SOP_INSTANCE_UID, "SOP Instance UID")?;
    selection.studies = studies.into_iter().map(StudyInstanceUid::from).collect();
    selection.series = series.into_iter().map(SeriesInstanceUid::from).collect();
    selection.instances = instances.into_iter().map(SopInstanceUid::from).collect();
    Ok(Request { level, selection })
}

/// The UIDs of a key: one at least, and only one above the level.
fn list(keys: &Elements, tag: Tag, name: &str, many: bool) -> Result<Vec<Uid>, Refusal> {
    let bytes = keys.bytes(tag).unwrap_or_default();
    let uids: Vec<Uid> = bytes.split(|&b| b == b'\\').map(Uid::from_bytes).filter(|uid| !uid.is_empty()).collect();
    if uids.iter().any(|uid| uid.as_str().contains(['*', '?'])) {
        return Err(Refusal::of(tag, &format!("no wildcards in a {name}")));
    }
    match uids.len() {
        0 => Err(Refusal::of(tag, &format!("a {name} is needed at this level"))),
        1 => Ok(uids),
        _ if many => Ok(uids),
        _ => Err(Refusal::of(tag, &format!("only one {name} at this level"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: &str = uids::STUDY_ROOT_MOVE;
    const P: &str = uids::PATIENT_ROOT_GET;

    type Keys = &'static [(Tag, &'static str)];

    fn read_keys(class: &str, keys: Keys) -> Result<Request, Refusal> {
        let mut elements = Elements::new();
        for (tag, value) in keys {
            elements.put(*tag, value);
        }
        read(class, &elements.write(Encoding::ImplicitLe), Encoding::ImplicitLe)
    }

    const LEVEL: Tag = tags::QUERY_RETRIEVE_LEVEL;
    const PATIENT: Tag = tags::PATIENT_ID;
    const STUDY: Tag = tags::STUDY_INSTANCE_UID;
    const SERIES: Tag = tags::SERIES_INSTANCE_UID;
    const INSTANCE: Tag = tags::SOP_INSTANCE_UID;

    #[test]
    fn a_level_needs_its_key_and_one_value_of_each_above() {
        let good: [(&str, Keys, (usize, usize, usize)); 7] = [
            (S, &[(LEVEL, "STUDY"), (STUDY, "1.2")], (1, 0, 0)),
            (S, &[(LEVEL, "STUDY "), (STUDY, "1.2\\1.3")], (2, 0, 0)),
            (S, &[(LEVEL, "SERIES"), (STUDY, "1.2"), (SERIES, "1.3\\1.4")], (1, 2, 0)),
            (S, &[(LEVEL, "IMAGE"), (STUDY, "1.2"), (SERIES, "1.3"), (INSTANCE, "1.4\\1.5\\1.6")], (1, 1, 3)),
            // Keys below the level are not looked at.
            (S, &[(LEVEL, "STUDY"), (STUDY, "1.2"), (SERIES, "1.3"), (PATIENT, "x")], (1, 0, 0)),
            (P, &[(LEVEL, "PATIENT"), (PATIENT, "4711")], (0, 0, 0)),
            (P, &[(LEVEL, "SERIES"), (PATIENT, "4711"), (STUDY, "1.2"), (SERIES, "1.3")], (1, 1, 0)),
        ];
        for (class, keys, counts) in good {
            let Selection { patient_id, studies, series, instances } = read_keys(class, keys).unwrap().selection;
            assert_eq!((studies.len(), series.len(), instances.len()), counts, "{keys:?}");
            assert_eq!(patient_id.is_some(), class == P);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let bad: [(&str, Keys, Tag); 10] = [
            (S, &[(STUDY, "1.2")], LEVEL),
            (S, &[(LEVEL, "EXAM"), (STUDY, "1.2")], LEVEL),
            (S, &[(LEVEL, "PATIENT"), (PATIENT, "1")], LEVEL),
            (S, &[(LEVEL, "STUDY")], STUDY),
            (S, &[(LEVEL, "STUDY"), (STUDY, "1.*")], STUDY),
            (S, &[(LEVEL, "SERIES"), (SERIES, "1.3")], STUDY),
            (S, &[(LEVEL, "SERIES"), (STUDY, "1.2\\1.3"), (SERIES, "1.3")], STUDY),
            (S, &[(LEVEL, "IMAGE"), (STUDY, "1.2"), (INSTANCE, "1.3")], SERIES),
            (P, &[(LEVEL, "STUDY"), (STUDY, "1.2")], PATIENT),
            (P, &[(LEVEL, "PATIENT"), (PATIENT, "1\\2")], PATIENT),
        ];
        for (class, keys, offending) in bad {
            let refusal = read_keys(class, keys).unwrap_err();
            assert_eq!((refusal.status, refusal.offending.as_slice()), (Status(0xA900), &[offending][..]), "{keys:?}");
            assert!((1..=64).contains(&refusal.comment.len()), "{}", refusal.comment);
        }
        let torn = read(S, &[1, 2, 3], Encoding::ImplicitLe).unwrap_err();
        assert_eq!(torn.status, Status(0xC000));
    }
}
