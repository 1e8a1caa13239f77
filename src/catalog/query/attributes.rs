//! Which attributes can be asked for, where they are, and how they are compared.

use crate::catalog::corrections::shown_uid;
use crate::dicom::{QueryLevel, Tag, tags};

/// What an attribute is to a query (PS3.4 §C.2.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Tells one entity of its level.
    Unique,
    /// Every archive has to know it.
    Required,
    /// Known here.
    Optional,
}

/// How values of an attribute are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Equal to one of a list.
    Uid,
    /// The attribute has several values: one of them equals one of a list.
    Uids,
    /// With wildcards, case and accents as they are.
    Text,
    /// The same; the attribute has several values, of which one must match.
    Texts,
    /// With wildcards, folded.
    Person,
    /// A day or a range of days.
    Date,
    /// A time or a range of times.
    Time,
    /// As a number.
    Number,
}

/// An attribute that the catalog keeps.
#[derive(Debug, PartialEq)]
pub struct Attribute {
    /// Its tag.
    pub tag: Tag,
    /// Its keyword.
    pub keyword: &'static str,
    /// The level that it belongs to.
    pub level: QueryLevel,
    /// Its value representation.
    pub vr: [u8; 2],
    /// What it is to a query.
    pub key: KeyType,
    /// How it is compared.
    pub compared: Compared,
    /// The column.
    pub(super) sql: &'static str,
}

const fn attribute(
    (tag, keyword): (Tag, &'static str),
    level: QueryLevel,
    vr: &[u8; 2],
    key: KeyType,
    compared: Compared,
    sql: &'static str,
) -> Attribute {
    Attribute { tag, keyword, level, vr: *vr, key, compared, sql }
}

use Compared::{Date, Number, Person, Text, Texts, Time, Uid, Uids};
use KeyType::{Optional, Required, Unique};
use QueryLevel::{Image, Patient, Series, Study};

/// All of them, by level.
#[rustfmt::skip]
pub static ATTRIBUTES: &[Attribute] = &[
    attribute((tags::PATIENT_NAME, "PatientName"), Patient, b"PN", Required, Person, "p.name"),
    attribute((tags::PATIENT_ID, "PatientID"), Patient, b"LO", Unique, Text, "p.patient_id"),
    attribute((tags::ISSUER_OF_PATIENT_ID, "IssuerOfPatientID"), Patient, b"LO", Optional, Text, "p.issuer"),
    attribute((tags::PATIENT_BIRTH_DATE, "PatientBirthDate"), Patient, b"DA", Optional, Date, "p.birth_date"),
    attribute((tags::PATIENT_SEX, "PatientSex"), Patient, b"CS", Optional, Text, "p.sex"),
    attribute((tags::NUMBER_OF_PATIENT_RELATED_STUDIES, "NumberOfPatientRelatedStudies"), Patient, b"IS", Optional, Number, "p.studies"),
    attribute((tags::NUMBER_OF_PATIENT_RELATED_SERIES, "NumberOfPatientRelatedSeries"), Patient, b"IS", Optional, Number, "p.series"),
    attribute((tags::NUMBER_OF_PATIENT_RELATED_INSTANCES, "NumberOfPatientRelatedInstances"), Patient, b"IS", Optional, Number, "p.instances"),
    attribute((tags::STUDY_INSTANCE_UID, "StudyInstanceUID"), Study, b"UI", Unique, Uid, "st.uid"),
    attribute((tags::STUDY_DATE, "StudyDate"), Study, b"DA", Required, Date, "st.study_date"),
    attribute((tags::STUDY_TIME, "StudyTime"), Study, b"TM", Required, Time, "st.study_time"),
    attribute((tags::STUDY_ID, "StudyID"), Study, b"SH", Required, Text, "st.study_id"),
    attribute((tags::ACCESSION_NUMBER, "AccessionNumber"), Study, b"SH", Required, Text, "st.accession_number"),
    attribute((tags::STUDY_DESCRIPTION, "StudyDescription"), Study, b"LO", Optional, Text, "st.description"),
    attribute((tags::REFERRING_PHYSICIAN_NAME, "ReferringPhysicianName"), Study, b"PN", Optional, Person, "st.referring_physician"),
    attribute((tags::MODALITIES_IN_STUDY, "ModalitiesInStudy"), Study, b"CS", Optional, Texts, "st.modalities"),
    attribute((tags::SOP_CLASSES_IN_STUDY, "SOPClassesInStudy"), Study, b"UI", Optional, Uids, "st.sop_classes"),
    attribute((tags::NUMBER_OF_STUDY_RELATED_SERIES, "NumberOfStudyRelatedSeries"), Study, b"IS", Optional, Number, "st.series"),
    attribute((tags::NUMBER_OF_STUDY_RELATED_INSTANCES, "NumberOfStudyRelatedInstances"), Study, b"IS", Optional, Number, "st.instances"),
    attribute((tags::SERIES_INSTANCE_UID, "SeriesInstanceUID"), Series, b"UI", Unique, Uid, "se.uid"),
    attribute((tags::MODALITY, "Modality"), Series, b"CS", Required, Text, "se.modality"),
    attribute((tags::SERIES_NUMBER, "SeriesNumber"), Series, b"IS", Required, Number, "se.number"),
    attribute((tags::SERIES_DESCRIPTION, "SeriesDescription"), Series, b"LO", Optional, Text, "se.description"),
    attribute((tags::SERIES_DATE, "SeriesDate"), Series, b"DA", Optional, Date, "se.series_date"),
    attribute((tags::SERIES_TIME, "SeriesTime"), Series, b"TM", Optional, Time, "se.series_time"),
    attribute((tags::BODY_PART_EXAMINED, "BodyPartExamined"), Series, b"CS", Optional, Text, "se.body_part"),
    attribute((tags::NUMBER_OF_SERIES_RELATED_INSTANCES, "NumberOfSeriesRelatedInstances"), Series, b"IS", Optional, Number, "se.instances"),
    attribute((tags::SOP_INSTANCE_UID, "SOPInstanceUID"), Image, b"UI", Unique, Uid, shown_uid!()),
    attribute((tags::INSTANCE_NUMBER, "InstanceNumber"), Image, b"IS", Required, Number, "i.number"),
    attribute((tags::SOP_CLASS_UID, "SOPClassUID"), Image, b"UI", Optional, Uid, "c.uid"),
    attribute((tags::AVAILABLE_TRANSFER_SYNTAX_UID, "AvailableTransferSyntaxUID"), Image, b"UI", Optional, Uid, "t.uid"),
    attribute((tags::ROWS, "Rows"), Image, b"US", Optional, Number, "i.rows"),
    attribute((tags::COLUMNS, "Columns"), Image, b"US", Optional, Number, "i.columns"),
    attribute((tags::NUMBER_OF_FRAMES, "NumberOfFrames"), Image, b"IS", Optional, Number, "i.frames"),
];

/// The levels, from the top.
pub(super) const LEVELS: [QueryLevel; 4] = [Patient, Study, Series, Image];

impl Attribute {
    /// The attribute with this tag that a query at this level knows: of the level or one above.
    pub fn at(level: QueryLevel, tag: Tag) -> Option<&'static Attribute> {
        Attribute::of(level).find(|attribute| attribute.tag == tag)
    }

    /// The attributes of a level and of those above it.
    pub fn of(level: QueryLevel) -> impl Iterator<Item = &'static Attribute> {
        ATTRIBUTES.iter().filter(move |attribute| attribute.level <= level)
    }

    /// The tag of the unique key of a level.
    pub fn unique(level: QueryLevel) -> Tag {
        match level {
            Patient => tags::PATIENT_ID,
            Study => tags::STUDY_INSTANCE_UID,
            Series => tags::SERIES_INSTANCE_UID,
            Image => tags::SOP_INSTANCE_UID,
        }
    }

    /// Its column among those of its level, behind the id.
    pub(super) fn column(&self) -> usize {
        1 + ATTRIBUTES
            .iter()
            .filter(|other| other.level == self.level)
            .take_while(|other| other.tag != self.tag)
            .count()
    }
}

/// The columns of a level: the id, its attributes, and the folded form of its person name, if it has one.
pub(super) fn columns(level: QueryLevel) -> String {
    let of_level = ATTRIBUTES.iter().filter(|attribute| attribute.level == level).map(|attribute| attribute.sql);
    let (id, folded) = match level {
        Patient => ("p.id", "p.name_folded"),
        Study => ("st.id", "st.referring_folded"),
        Series => ("se.id", "''"),
        Image => ("i.id", "''"),
    };
    [id].into_iter().chain(of_level).chain([folded]).collect::<Vec<_>>().join(", ")
}

/// How many columns [`columns`] has.
pub(super) fn width(level: QueryLevel) -> usize {
    2 + ATTRIBUTES.iter().filter(|attribute| attribute.level == level).count()
}

/// The keyword that looks most like this one.
pub(super) fn nearest(level: QueryLevel, keyword: &str) -> &'static str {
    let alike = |attribute: &&'static Attribute| {
        let distance = strsim::damerau_levenshtein(&attribute.keyword.to_lowercase(), &keyword.to_lowercase());
        (distance, attribute.keyword)
    };
    Attribute::of(level).min_by_key(alike).map_or("StudyInstanceUID", |attribute| attribute.keyword)
}
