//! What is there: objects as they are shown, and what a sample of them says of patient, study and order.

use super::ContentError;
use super::header::{self, Extent, Shown};
use crate::catalog::{Catalog, ObjectFacts, PatientFacts, Selection, StudyFacts};
use crate::dataset::{CharacterSet, Header, Tree};
use crate::dicom::{Tag, tags};
use crate::outlet::Outlet;

/// The most objects of a study whose headers are looked at: one of each series, and the first of these.
const MOST_HEADERS: usize = 64;
/// The most objects of a series that are tried, until one can be read.
const MOST_TRIED: usize = 8;
/// Objects that are asked for at one time.
const PAGE: usize = 2000;

/// What one side says of itself.
#[derive(Debug, Clone)]
pub(super) struct Side {
    /// The first object.
    pub(super) header: Tree,
    /// One object of each series, that one included.
    pub(super) headers: Vec<Tree>,
    /// Whether the character set of some text is nothing but a guess.
    pub(super) guessed: bool,
    /// Where that is known from.
    pub(super) source: Known,
}

/// Where attributes of a study are known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// An object that is shown in it.
    Shown,
    /// An object that was filed in it, and has left.
    Filed,
    /// The catalog.
    Catalog,
}

/// What is shown of a selection.
pub(super) async fn objects(
    catalog: &Catalog,
    selection: &Selection,
    most: usize,
) -> Result<Vec<ObjectFacts>, ContentError> {
    let selected = catalog.select(selection, most).await?;
    if selected.more {
        return Err(super::Refusal::TooMany { what: "the objects that would be moved".into(), limit: most }.into());
    }
    let ids: Vec<i64> = selected.instances.iter().map(|(id, _)| *id).collect();
    facts(catalog, &ids).await
}

/// What is known of objects, by their numbers.
pub(super) async fn facts(catalog: &Catalog, ids: &[i64]) -> Result<Vec<ObjectFacts>, ContentError> {
    let mut objects = Vec::with_capacity(ids.len());
    for page in ids.chunks(PAGE) {
        objects.extend(catalog.object_facts(page).await?);
    }
    Ok(objects)
}

/// What objects say of themselves: one of each series.
pub(super) async fn of_objects(
    catalog: &Catalog,
    outlet: &Outlet,
    objects: &[ObjectFacts],
    charset: &CharacterSet,
) -> Result<Side, ContentError> {
    let mut samples: Vec<(i64, Vec<i64>)> = Vec::new();
    for object in objects {
        match samples.iter().position(|(series, _)| *series == object.series_id) {
            Some(known) => {
                if let Some((_, ids)) = samples.get_mut(known).filter(|(_, ids)| ids.len() < MOST_TRIED) {
                    ids.push(object.id);
                }
            }
            None if samples.len() < MOST_HEADERS => samples.push((object.series_id, vec![object.id])),
            None => {}
        }
    }
    let ids: Vec<Vec<i64>> = samples.into_iter().map(|(_, ids)| ids).collect();
    let shown = read(catalog, outlet, &ids, charset).await?;
    let side = side(shown, Known::Shown);
    side.ok_or_else(|| super::Refusal::Changed { what: "all of the objects have gone".into() }.into())
}

/// What a study says of itself: its objects, else those that were filed in it, else what the catalog remembers.
pub(super) async fn of_study(
    catalog: &Catalog,
    outlet: &Outlet,
    facts: &StudyFacts,
    charset: &CharacterSet,
) -> Result<Side, ContentError> {
    let selection = |series| Selection { studies: vec![facts.uid.clone()], series, ..Selection::default() };
    let mut ids = Vec::new();
    for series in facts.series.iter().take(MOST_HEADERS) {
        let first = catalog.select(&selection(vec![series.uid.clone()]), MOST_TRIED).await?;
        ids.push(first.instances.iter().map(|(id, _)| *id).collect());
    }
    if let Some(side) = side(read(catalog, outlet, &ids, charset).await?, Known::Shown) {
        return Ok(side);
    }
    let filed = catalog.filed_in(&facts.uid, MOST_HEADERS).await?;
    let mut shown = Vec::new();
    for mut held in catalog.held(&filed).await? {
        // As it was filed: what has moved it away says nothing of where it was.
        held.amendments.clear();
        shown.push(header::read(outlet, held, charset, Extent::Header).await?);
    }
    if let Some(side) = side(shown, Known::Filed) {
        return Ok(side);
    }
    let header = remembered(facts);
    Ok(Side { headers: vec![header.clone()], header, guessed: false, source: Known::Catalog })
}

/// Of each list the first that can be read. Where none of all can, what is wrong with the last.
async fn read(
    catalog: &Catalog,
    outlet: &Outlet,
    lists: &[Vec<i64>],
    charset: &CharacterSet,
) -> Result<Vec<Shown>, ContentError> {
    let (mut shown, mut unread) = (Vec::new(), None);
    for ids in lists {
        for held in catalog.held(ids).await? {
            match header::read(outlet, held, charset, Extent::Header).await {
                Ok(header) => {
                    shown.push(header);
                    break;
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "an object that stands for others cannot be read"
                    );
                    unread = Some(error);
                }
            }
        }
    }
    match unread {
        Some(error) if shown.is_empty() => Err(error),
        _ => Ok(shown),
    }
}

fn side(shown: Vec<Shown>, source: Known) -> Option<Side> {
    let guessed = shown.iter().any(|shown| shown.guessed);
    let headers: Vec<Tree> = shown.into_iter().map(|shown| shown.header).collect();
    Some(Side { header: headers.first()?.clone(), headers, guessed, source })
}

/// What the catalog remembers of a study.
fn remembered(facts: &StudyFacts) -> Tree {
    let mut header = Tree::new();
    let mut put = |tag: Tag, text: &str| {
        if !text.is_empty() {
            header.put_text(tag, text);
        }
    };
    put(tags::STUDY_DATE, &facts.study_date);
    put(tags::STUDY_TIME, &facts.study_time);
    put(tags::STUDY_ID, &facts.study_id);
    put(tags::ACCESSION_NUMBER, &facts.accession_number);
    put(tags::STUDY_DESCRIPTION, &facts.description);
    put(tags::REFERRING_PHYSICIAN_NAME, &facts.referring_physician);
    if let Some(PatientFacts { patient_id, issuer, name, birth_date, sex, .. }) = &facts.patient {
        put(tags::PATIENT_ID, patient_id);
        put(tags::ISSUER_OF_PATIENT_ID, issuer);
        put(tags::PATIENT_NAME, name);
        put(tags::PATIENT_BIRTH_DATE, birth_date);
        put(tags::PATIENT_SEX, sex);
    }
    header
}

/// What the catalog is to remember of a new study.
pub(super) fn header_of(tree: &Tree) -> Header {
    let text = |tag| tree.text(tag).map(str::to_owned);
    Header {
        patient_id: text(tags::PATIENT_ID),
        issuer_of_patient_id: text(tags::ISSUER_OF_PATIENT_ID),
        patient_name: text(tags::PATIENT_NAME),
        patient_birth_date: text(tags::PATIENT_BIRTH_DATE),
        patient_sex: text(tags::PATIENT_SEX),
        study_date: text(tags::STUDY_DATE),
        study_time: text(tags::STUDY_TIME),
        study_id: text(tags::STUDY_ID),
        accession_number: text(tags::ACCESSION_NUMBER),
        study_description: text(tags::STUDY_DESCRIPTION),
        referring_physician_name: text(tags::REFERRING_PHYSICIAN_NAME),
        ..Header::default()
    }
}
