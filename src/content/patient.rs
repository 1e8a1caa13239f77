//! Two patients side by side: every attribute that tells them apart, and whether they are one.

use serde::Serialize;

use super::attributes::{PATIENT, name_of};
use crate::dataset::{Node, Tree, Value, fold_person_name};
use crate::dicom::{Date, Tag, tags};

/// The patient of a study, in the attributes that people know one by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct PatientSheet {
    /// Patient ID.
    pub id: String,
    /// Issuer of Patient ID.
    pub issuer: String,
    /// Patient's Name.
    pub name: String,
    /// Patient's Birth Date.
    pub birth_date: String,
    /// Patient's Sex.
    pub sex: String,
}

/// An attribute in which two patients differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `(gggg,eeee)`.
    pub tag: String,
    /// What the dictionary calls it.
    pub name: String,
    /// What the objects say now; nothing where they do not have it.
    pub source: Option<String>,
    /// What they will say.
    pub destination: Option<String>,
}

impl PatientSheet {
    /// The patient of an object.
    pub(super) fn of(header: &Tree) -> PatientSheet {
        let text = |tag| header.text(tag).unwrap_or_default().to_owned();
        PatientSheet {
            id: text(tags::PATIENT_ID),
            issuer: text(tags::ISSUER_OF_PATIENT_ID),
            name: text(tags::PATIENT_NAME),
            birth_date: text(tags::PATIENT_BIRTH_DATE),
            sex: text(tags::PATIENT_SEX),
        }
    }

    /// Whether it is the same person, with what old archives hold in mind: one ID for several people, names in several
    /// spellings. The ID must be the same, nothing may contradict it, and birth date or name must confirm it.
    pub(super) fn is(&self, other: &PatientSheet) -> bool {
        let agree = |one: &str, two: &str| match (one.is_empty(), two.is_empty()) {
            (false, false) => Some(one == two),
            _ => None,
        };
        let day = |text: &str| Date::parse(text).map_or_else(|_| text.to_owned(), |day| day.to_string());
        let birth = agree(&day(&self.birth_date), &day(&other.birth_date));
        let name = agree(&fold_person_name(&self.name), &fold_person_name(&other.name));
        let contradicted = [agree(&self.issuer, &other.issuer), agree(&self.sex, &other.sex), birth];
        agree(&self.id, &other.id) == Some(true)
            && !contradicted.contains(&Some(false))
            && [birth, name].contains(&Some(true))
    }
}

/// Every attribute of the patient that objects of the source and the destination do not have alike.
pub(super) fn differences(source: &Tree, destination: &Tree) -> Vec<Difference> {
    differing(PATIENT, source, destination)
}

/// The same for any attributes.
pub(super) fn differing(tags: &[Tag], source: &Tree, destination: &Tree) -> Vec<Difference> {
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    let compare = |tag: Tag| {
        let (source, destination) = (shown(source, tag), shown(destination, tag));
        (source != destination).then(|| Difference { tag: tag.to_string(), name: name_of(tag), source, destination })
    };
    tags.into_iter().filter_map(compare).collect()
}

/// The longest value that is shown.
const LONGEST: usize = 200;

/// A value for people; items of a sequence are put into words by their own values. Empty is absent.
pub(super) fn shown(header: &Tree, tag: Tag) -> Option<String> {
    let mut text = words(header.get(tag)?);
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    (!text.is_empty()).then_some(text)
}

/// Recurses as deep as the header was read.
fn words(node: &Node) -> String {
    match &node.value {
        Value::Bytes(bytes) => match (&node.vr, std::str::from_utf8(bytes)) {
            (b"US", _) => bytes.first_chunk().map(|n| u16::from_le_bytes(*n).to_string()).unwrap_or_default(),
            (_, Ok(text)) if !text.chars().any(|c| c.is_control() && !c.is_whitespace() && c != '\0') => {
                text.trim_matches([' ', '\0']).to_owned()
            }
            _ => format!("{} bytes", bytes.len()),
        },
        Value::Items(items) => {
            let item = |item: &Tree| item.iter().map(|(_, node)| words(node)).collect::<Vec<_>>().join(", ");
            items.iter().map(item).collect::<Vec<_>>().join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(id: &str, issuer: &str, name: &str, birth: &str, sex: &str) -> PatientSheet {
        let [id, issuer, name, birth_date, sex] = [id, issuer, name, birth, sex].map(str::to_owned);
        PatientSheet { id, issuer, name, birth_date, sex }
    }

    #[test]
    fn the_same_patient_is_one_whose_id_is_confirmed_and_not_contradicted() {
        let one = patient("4711", "KH", "Müller^Hans", "19560304", "M");
        for same in [
            patient("4711", "KH", "MULLER^HANS", "19560304", "M"),
            patient("4711", "", "Mueller^Hans", "1956.03.04", ""),
            patient("4711", "KH", "Muller^Hans", "", ""),
        ] {
            assert!(one.is(&same) && same.is(&one), "{same:?}");
        }
        for other in [
            patient("4712", "KH", "Müller^Hans", "19560304", "M"),
            patient("4711", "UK", "Müller^Hans", "19560304", "M"),
            patient("4711", "KH", "Müller^Hans", "19560305", "M"),
            patient("4711", "KH", "Müller^Hans", "19560304", "F"),
            patient("4711", "KH", "Meier^Eva", "", ""),
            patient("4711", "KH", "", "", ""),
            patient("", "KH", "Müller^Hans", "19560304", "M"),
        ] {
            assert!(!one.is(&other) && !other.is(&one), "{other:?}");
        }
        let nobody = PatientSheet::default();
        assert!(!nobody.is(&nobody), "two objects without a patient are not of one");
    }

    #[test]
    fn every_difference_is_shown_in_words() {
        let (mut source, mut destination) = (Tree::new(), Tree::new());
        source.put_text(tags::PATIENT_NAME, "Müller^Hans").put_text(tags::PATIENT_ID, "1");
        destination.put_text(tags::PATIENT_NAME, "山田^太郎").put_text(tags::PATIENT_ID, "1");
        let mut other = Tree::new();
        other.put_text(tags::PATIENT_ID, "X7").put_text(tags::ISSUER_OF_PATIENT_ID, "KH");
        destination.put_items(tags::OTHER_PATIENT_I_DS_SEQUENCE, vec![other]);
        source.put_text(tags::PATIENT_COMMENTS, &"x".repeat(1000)).put_text(tags::PATIENT_SEX, "");
        let found = differences(&source, &destination);
        let told: Vec<_> =
            found.iter().map(|d| (d.name.as_str(), d.source.as_deref(), d.destination.as_deref())).collect();
        let long = format!("{}…", "x".repeat(LONGEST));
        assert_eq!(
            told,
            [
                ("Patient Name", Some("Müller^Hans"), Some("山田^太郎")),
                ("Other Patient IDs Sequence", None, Some("X7, KH")),
                ("Patient Comments", Some(long.as_str()), None),
            ]
        );
    }
}
