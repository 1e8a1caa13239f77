//! Which attributes can be asked for, and where they are.

use crate::dicom::QueryLevel;

/// How values of an attribute are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Equal to one of a list.
    Uid,
    /// With wildcards.
    Text,
    /// With wildcards, folded; the column that holds the folded name.
    Person(&'static str),
    /// A day or a range of days.
    Date,
    /// A time or a range of times.
    Time,
    /// A number.
    Number,
    /// Several values separated by backslashes, of which one must match.
    Values,
}

/// An attribute.
#[derive(Debug)]
pub(in crate::catalog) struct Column {
    pub(super) keyword: &'static str,
    pub(super) sql: &'static str,
    pub(super) kind: Kind,
    level: QueryLevel,
}

const fn column(level: QueryLevel, keyword: &'static str, sql: &'static str, kind: Kind) -> Column {
    Column { keyword, sql, kind, level }
}

use Kind::{Date, Number, Person, Text, Time, Uid, Values};
use QueryLevel::{Image, Series, Study};

static COLUMNS: &[Column] = &[
    column(Study, "PatientName", "p.name", Person("p.name_folded")),
    column(Study, "PatientID", "p.patient_id", Text),
    column(Study, "IssuerOfPatientID", "p.issuer", Text),
    column(Study, "PatientBirthDate", "p.birth_date", Date),
    column(Study, "PatientSex", "p.sex", Text),
    column(Study, "StudyInstanceUID", "st.uid", Uid),
    column(Study, "StudyDate", "st.study_date", Date),
    column(Study, "StudyTime", "st.study_time", Time),
    column(Study, "StudyID", "st.study_id", Text),
    column(Study, "AccessionNumber", "st.accession_number", Text),
    column(Study, "StudyDescription", "st.description", Text),
    column(Study, "ReferringPhysicianName", "st.referring_physician", Person("st.referring_folded")),
    column(Study, "ModalitiesInStudy", "st.modalities", Values),
    column(Study, "NumberOfStudyRelatedSeries", "st.series", Number),
    column(Study, "NumberOfStudyRelatedInstances", "st.instances", Number),
    column(Series, "SeriesInstanceUID", "se.uid", Uid),
    column(Series, "Modality", "se.modality", Text),
    column(Series, "SeriesNumber", "se.number", Text),
    column(Series, "SeriesDescription", "se.description", Text),
    column(Series, "SeriesDate", "se.series_date", Date),
    column(Series, "SeriesTime", "se.series_time", Time),
    column(Series, "BodyPartExamined", "se.body_part", Text),
    column(Series, "NumberOfSeriesRelatedInstances", "se.instances", Number),
    column(Image, "SOPInstanceUID", "i.uid", Uid),
    column(Image, "SOPClassUID", "c.uid", Uid),
    column(Image, "AvailableTransferSyntaxUID", "t.uid", Uid),
    column(Image, "InstanceNumber", "i.number", Text),
    column(Image, "Rows", "i.rows", Number),
    column(Image, "Columns", "i.columns", Number),
    column(Image, "NumberOfFrames", "i.frames", Text),
];

/// The attributes of a level and of those above it; `None` where nothing is answered.
pub(in crate::catalog) fn of(level: QueryLevel) -> Option<Vec<&'static Column>> {
    (level != QueryLevel::Patient).then(|| COLUMNS.iter().filter(|column| column.level <= level).collect())
}

/// The keyword that looks most like this one.
pub(super) fn nearest(columns: &[&'static Column], keyword: &str) -> &'static str {
    let alike = |column: &&&'static Column| {
        let distance = strsim::damerau_levenshtein(&column.keyword.to_lowercase(), &keyword.to_lowercase());
        (distance, column.keyword)
    };
    columns.iter().min_by_key(alike).map_or("StudyInstanceUID", |column| column.keyword)
}
