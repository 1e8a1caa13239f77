//! What moved objects say instead: the destination's patient and study, none of the old order, and that they were
//! changed.

use super::age::age;
use super::attributes::{GONE, ORDER, PATIENT, PATIENT_STUDY, STUDY};
use crate::dataset::{Amendment, Original, Tree, UidMap};
use crate::dicom::{StudyInstanceUid, Tag, tags};

/// Where objects are moved to.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// The study.
    pub(super) study: &'a StudyInstanceUid,
    /// An object of it, as it is shown; or what the catalog remembers.
    pub(super) header: &'a Tree,
    /// An object of it that names its only order.
    pub(super) order: Option<&'a Tree>,
    /// Whether its patient is that of the objects.
    pub(super) same_patient: bool,
}

/// Who changes objects, and when.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    /// What we are called.
    pub(super) system: String,
    /// What is done, in words.
    pub(super) description: String,
    /// In unix milliseconds.
    pub(super) at: i64,
    /// The character set of objects that name none.
    pub(super) default_charset: Option<String>,
}

impl Target<'_> {
    /// The age of its patient on the day of the study.
    pub(super) fn age(&self) -> Option<String> {
        age(self.header.text(tags::PATIENT_BIRTH_DATE), self.header.text(tags::STUDY_DATE))
    }

    /// What is different, besides, in an object of another patient among those of this one.
    pub(super) fn estrange(&self, patch: &mut Amendment, stamp: &Stamp) {
        let mut change = Change::default();
        self.other_patient(&mut change);
        for (tag, node) in change.put.iter() {
            patch.put.put(tag, node.clone());
        }
        patch.remove.extend(change.remove);
        patch.original.get_or_insert_with(|| original(stamp));
    }

    /// What belongs to a patient on a day is removed, but for the age, which is computed anew.
    fn other_patient(&self, change: &mut Change) {
        change.take(PATIENT_STUDY, None);
        if let Some(age) = self.age() {
            change.put.put_text(tags::PATIENT_AGE, &age);
            change.remove.retain(|tag| *tag != tags::PATIENT_AGE);
        }
    }

    /// What is different in objects that are moved here.
    pub(super) fn amendment(&self, stamp: &Stamp) -> Amendment {
        let mut change = Change::default();
        change.take(PATIENT, Some(self.header));
        change.take(STUDY, Some(self.header));
        change.take(ORDER, self.order);
        change.take(GONE, None);
        if !self.same_patient {
            self.other_patient(&mut change);
        }
        change.put.put_uid(tags::STUDY_INSTANCE_UID, self.study);
        Amendment {
            put: change.put,
            remove: change.remove,
            uids: UidMap::default(),
            original: Some(original(stamp)),
            equipment: Some(equipment(stamp)),
            default_charset: stamp.default_charset.clone(),
        }
    }
}

/// Says who put away what was there before.
fn original(stamp: &Stamp) -> Original {
    let (system, reason) = (stamp.system.clone(), "CORRECT".to_owned());
    Original { source: String::new(), system, reason, at: date_time(stamp.at) }
}

#[derive(Default)]
struct Change {
    put: Tree,
    remove: Vec<Tag>,
}

impl Change {
    /// These attributes become those of the header, and what it does not have is absent.
    fn take(&mut self, tags: &[Tag], header: Option<&Tree>) {
        for &tag in tags {
            match header.and_then(|header| header.get(tag)) {
                Some(node) => {
                    self.put.put(tag, node.clone());
                }
                None => self.remove.push(tag),
            }
        }
    }
}

/// The item of Contributing Equipment Sequence that says who changed the object.
fn equipment(stamp: &Stamp) -> Tree {
    let (mut item, mut purpose) = (Tree::new(), Tree::new());
    purpose.put_text(tags::CODE_VALUE, "109103").put_text(tags::CODING_SCHEME_DESIGNATOR, "DCM");
    purpose.put_text(tags::CODE_MEANING, "Modifying Equipment");
    item.put_items(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, vec![purpose]);
    item.put_text(tags::MANUFACTURER, "pacsferry").put_text(tags::MANUFACTURER_MODEL_NAME, "pacsferry");
    item.put_text(tags::STATION_NAME, &stamp.system).put_text(tags::SOFTWARE_VERSIONS, env!("CARGO_PKG_VERSION"));
    item.put_text(tags::CONTRIBUTION_DATE_TIME, &date_time(stamp.at));
    item.put_text(tags::CONTRIBUTION_DESCRIPTION, &stamp.description);
    item
}

/// A DT value, in UTC.
fn date_time(at: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    at.strftime("%Y%m%d%H%M%S.%6f+0000").to_string()
}

/// The object that names the only order of a study; none where there are several, or none.
pub(super) fn only_order(headers: &[Tree]) -> Option<&Tree> {
    let orders = |header: &Tree| header.items(tags::REQUEST_ATTRIBUTES_SEQUENCE).to_vec();
    let mut naming = headers.iter().filter(|header| !header.items(tags::REQUEST_ATTRIBUTES_SEQUENCE).is_empty());
    let first = naming.next()?;
    let only = orders(first);
    let number = |item: &Tree| {
        [tags::ACCESSION_NUMBER, tags::REQUESTED_PROCEDURE_ID, tags::STUDY_INSTANCE_UID]
            .map(|tag| item.text(tag).unwrap_or_default().to_owned())
    };
    let same = |header: &Tree| {
        let orders = orders(header);
        orders.len() == 1 && orders.iter().zip(&only).all(|(one, other)| number(one) == number(other))
    };
    (only.len() == 1 && naming.all(same)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        let (system, description) = ("PACSFERRY".to_owned(), "Moved".to_owned());
        Stamp { system, description, at: 1_600_000_000_123, default_charset: None }
    }

    fn destination() -> Tree {
        let mut header = Tree::new();
        header.put_text(tags::PATIENT_ID, "D1").put_text(tags::PATIENT_NAME, "山田^太郎");
        header.put_text(tags::PATIENT_BIRTH_DATE, "19800229").put_text(tags::STUDY_DATE, "20200228");
        header.put_text(tags::PATIENT_WEIGHT, "80").put_text(tags::SERIES_DESCRIPTION, "not theirs");
        header.put_text(tags::ACCESSION_NUMBER, "");
        let mut other = Tree::new();
        other.put_text(tags::PATIENT_ID, "X7");
        header.put_items(tags::OTHER_PATIENT_I_DS_SEQUENCE, vec![other]);
        header
    }

    fn order(accession: &str) -> Tree {
        let (mut header, mut item) = (Tree::new(), Tree::new());
        item.put_text(tags::ACCESSION_NUMBER, accession).put_text(tags::SCHEDULED_PROCEDURE_STEP_ID, accession);
        header.put_items(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![item]);
        header
    }

    #[test]
    fn another_patient_comes_whole_and_nothing_of_the_old_one_stays() {
        let (study, header) = (StudyInstanceUid::new("1.9"), destination());
        let target = Target { study: &study, header: &header, order: None, same_patient: false };
        let made = target.amendment(&stamp());
        assert_eq!(made.put.text(tags::PATIENT_NAME), Some("山田^太郎"));
        assert_eq!(made.put.items(tags::OTHER_PATIENT_I_DS_SEQUENCE).len(), 1);
        assert_eq!(made.put.text(tags::PATIENT_AGE), Some("039Y"));
        assert_eq!(made.put.text(tags::STUDY_INSTANCE_UID), Some("1.9"));
        assert!(made.put.contains(tags::ACCESSION_NUMBER), "an empty one is one");
        for kept in [tags::SERIES_DESCRIPTION, tags::MANUFACTURER, tags::FRAME_OF_REFERENCE_UID] {
            assert!(!made.put.contains(kept) && !made.remove.contains(&kept), "{kept}");
        }
        for gone in [
            tags::ISSUER_OF_PATIENT_ID,
            tags::PATIENT_WEIGHT,
            tags::ADMISSION_ID,
            tags::REQUEST_ATTRIBUTES_SEQUENCE,
            tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
            tags::STUDY_DESCRIPTION,
        ] {
            assert!(!made.put.contains(gone) && made.remove.contains(&gone), "{gone}");
        }
        let both = made.remove.iter().find(|tag| made.put.contains(**tag));
        assert_eq!(both, None, "set and taken away");
        let original = made.original.unwrap();
        assert_eq!((original.reason.as_str(), original.at.as_str()), ("CORRECT", "20200913122640.123000+0000"));
        let equipment = made.equipment.unwrap();
        assert_eq!(
            equipment.item(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE).unwrap().text(tags::CODE_VALUE),
            Some("109103")
        );
    }

    #[test]
    fn the_same_patient_keeps_weight_and_age_and_gets_the_order() {
        let (study, header, order) = (StudyInstanceUid::new("1.9"), destination(), order("A1"));
        let target = Target { study: &study, header: &header, order: Some(&order), same_patient: true };
        let made = target.amendment(&stamp());
        for kept in [tags::PATIENT_WEIGHT, tags::PATIENT_AGE, tags::ADMISSION_ID] {
            assert!(!made.put.contains(kept) && !made.remove.contains(&kept), "{kept}");
        }
        let request = made.put.item(tags::REQUEST_ATTRIBUTES_SEQUENCE).unwrap();
        assert_eq!(request.text(tags::ACCESSION_NUMBER), Some("A1"));
        assert!(made.remove.contains(&tags::REQUESTED_PROCEDURE_DESCRIPTION));
    }

    #[test]
    fn one_order_is_an_order_and_two_are_none() {
        let is_one = |headers: &[Tree]| only_order(headers).is_some();
        assert!(is_one(&[order("A1")]) && is_one(&[Tree::new(), order("A1"), order("A1")]));
        assert!(!is_one(&[]) && !is_one(&[Tree::new()]) && !is_one(&[order("A1"), order("A2")]));
        let mut both = order("A1");
        both.items_mut(tags::REQUEST_ATTRIBUTES_SEQUENCE)
            .extend(order("A1").items(tags::REQUEST_ATTRIBUTES_SEQUENCE).to_vec());
        assert!(!is_one(&[both.clone()]) && !is_one(&[order("A1"), both]));
    }
}
