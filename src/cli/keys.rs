//! Query keys as people write them: `PatientName=MUL*`, `00080020=20240101-`.

use std::str::FromStr;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use crate::dicom::{QueryLevel, Tag, tags};

/// One key of a query by example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The attribute.
    pub(super) tag: Tag,
    /// What it must match; empty: only return it.
    pub(super) value: String,
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let tag = tag_of(name.trim())?;
        if tag.group() < 0x0008 || tag == tags::QUERY_RETRIEVE_LEVEL || tag == tags::SPECIFIC_CHARACTER_SET {
            return Err(format!("{} is not for you to set; --level names the level", keyword(tag)));
        }
        Ok(Key { tag, value: value.to_owned() })
    }
}

/// The attribute of a keyword, whatever its case, or of eight hexadecimal digits.
fn tag_of(name: &str) -> Result<Tag, String> {
    let digits: String = name.chars().filter(|c| !"(),".contains(*c)).collect();
    if digits.len() == 8
        && let Ok(number) = u32::from_str_radix(&digits, 16)
    {
        let [g1, g2, e1, e2] = number.to_be_bytes();
        return Ok(Tag(u16::from_be_bytes([g1, g2]), u16::from_be_bytes([e1, e2])));
    }
    if let Some(entry) = StandardDataDictionary.by_name(name) {
        return Ok(entry.tag());
    }
    let usual = usual_tags().map(|tag| (keyword(tag), tag));
    let scored =
        usual.map(|(known, tag)| (strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()), known, tag));
    let nearest = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((1.0, _, tag)) => Ok(tag),
        Some((score, known, _)) if score > 0.75 => {
            Err(format!("`{}` is no DICOM keyword; did you mean {known}?", name.escape_default()))
        }
        _ => Err(format!(
            "`{}` is no DICOM keyword; write for example PatientID=123 or 00100020=123",
            name.escape_default()
        )),
    }
}

/// The keyword of an attribute, or its eight digits.
pub(super) fn keyword(tag: Tag) -> String {
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) if entry.tag() == tag => entry.alias().to_owned(),
        _ => format!("{:04X}{:04X}", tag.group(), tag.element()),
    }
}

/// The attributes that are shown at a level, in this order.
pub(super) fn shown(level: QueryLevel) -> &'static [Tag] {
    match level {
        QueryLevel::Patient => &[
            tags::PATIENT_ID,
            tags::PATIENT_NAME,
            tags::PATIENT_BIRTH_DATE,
            tags::PATIENT_SEX,
            tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
            tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
        ],
        QueryLevel::Study => &[
            tags::STUDY_DATE,
            tags::STUDY_TIME,
            tags::MODALITIES_IN_STUDY,
            tags::NUMBER_OF_STUDY_RELATED_SERIES,
            tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
            tags::PATIENT_ID,
            tags::ACCESSION_NUMBER,
            tags::STUDY_INSTANCE_UID,
            tags::PATIENT_NAME,
            tags::STUDY_DESCRIPTION,
        ],
        QueryLevel::Series => &[
            tags::SERIES_NUMBER,
            tags::MODALITY,
            tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
            tags::SERIES_INSTANCE_UID,
            tags::SERIES_DESCRIPTION,
        ],
        QueryLevel::Image => &[tags::INSTANCE_NUMBER, tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID],
    }
}

/// The heading of a column: shorter than the keyword where people know what is meant.
pub(super) fn heading(keyword: &str) -> &str {
    match keyword {
        "StudyDate" => "Date",
        "StudyTime" => "Time",
        "ModalitiesInStudy" => "Modalities",
        "NumberOfPatientRelatedStudies" => "Studies",
        "NumberOfStudyRelatedSeries" => "Series",
        "NumberOfPatientRelatedInstances" | "NumberOfStudyRelatedInstances" | "NumberOfSeriesRelatedInstances" => {
            "Objects"
        }
        "SeriesNumber" | "InstanceNumber" => "No.",
        "StudyDescription" | "SeriesDescription" => "Description",
        "PatientName" => "Name",
        other => other,
    }
}

fn usual_tags() -> impl Iterator<Item = Tag> {
    let levels = [QueryLevel::Patient, QueryLevel::Study, QueryLevel::Series, QueryLevel::Image];
    let more = [
        tags::STUDY_ID,
        tags::REFERRING_PHYSICIAN_NAME,
        tags::ISSUER_OF_PATIENT_ID,
        tags::BODY_PART_EXAMINED,
        tags::SERIES_DATE,
    ];
    levels.into_iter().flat_map(shown).copied().chain(more)
}

/// The level that a word means, DICOM's own or the one that people use.
pub(super) fn level(text: &str) -> Result<QueryLevel, String> {
    match text.to_ascii_lowercase().as_str() {
        "patient" => Ok(QueryLevel::Patient),
        "study" => Ok(QueryLevel::Study),
        "series" => Ok(QueryLevel::Series),
        "instance" | "image" => Ok(QueryLevel::Image),
        _ => Err("the levels are patient, study, series and instance".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_keywords_or_numbers() {
        let key = |text: &str| text.parse::<Key>().map(|k| (keyword(k.tag), k.value));
        let ok = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(key("PatientName=MUL*"), ok("PatientName", "MUL*"));
        assert_eq!(key("patientname=A=B"), ok("PatientName", "A=B"));
        assert_eq!(key("00080020=20240101-"), ok("StudyDate", "20240101-"));
        assert_eq!(key("(0008,0020)"), ok("StudyDate", ""));
        assert_eq!(key("00091001=x"), ok("00091001", "x"));
        assert!(key("PatientNme=x").unwrap_err().contains("did you mean PatientName?"));
        assert!(key("=x").unwrap_err().contains("no DICOM keyword"));
        assert!(key("QueryRetrieveLevel=STUDY").unwrap_err().contains("--level"));
        assert!(key("00000002=1.2").is_err());
        assert!(key("00020010=1.2").is_err());
    }

    #[test]
    fn levels_are_what_people_call_them() {
        assert_eq!(level("instance"), Ok(QueryLevel::Image));
        assert_eq!((level("patient"), level("STUDY")), (Ok(QueryLevel::Patient), Ok(QueryLevel::Study)));
        assert!(level("exam").is_err());
    }
}
