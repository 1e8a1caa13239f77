//! Asks the source what it holds: the studies of a window, and the instances of a study.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;

use super::engine::JobError;
use super::modality;
use super::plan::{Answer, Keys};
use super::reconcile::Listing;
use super::work::{Link, Work};
use crate::catalog::ListedStudy;
use crate::config::Verify;
use crate::dataset::Elements;
use crate::dicom::{Date, QueryLevel, SeriesInstanceUid, SopClassUid, SopInstanceUid, Status, StudyInstanceUid, tags};
use crate::scu::{Purpose, ScuError, quirks};

/// Rows that are written to the catalog together: pulling starts with the first page.
const PAGE: usize = 200;
/// Rows of one answer that are kept in memory to be compared: beyond this an answer speaks for itself.
pub(super) const MOST_SERIES: usize = 20_000;
/// Studies of one answer whose series are asked for their modalities.
const MOST_UNDECIDED: usize = 5000;
/// More instances than this in one study is no study.
const MOST_INSTANCES: usize = 2_000_000;

/// What a source lists of a study.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) listing: Listing,
    /// SOP classes, where the source tells them: what a C-GET must propose.
    pub(super) classes: Vec<SopClassUid>,
}

/// Why there is no list that could be evidence.
#[derive(Debug)]
pub(super) enum NoList {
    /// The association failed.
    Scu(ScuError),
    /// The source does not know the study at all.
    NotFound,
    /// The source answers, but not with something to rely on: its own words.
    NoEvidence(String),
    /// We took the question back: what came is nothing to rely on, and says nothing about the source.
    Stopped,
}

impl From<ScuError> for NoList {
    fn from(error: ScuError) -> Self {
        NoList::Scu(error)
    }
}

/// What one query brought, and its different studies as hashes (so that two answers can be compared).
pub(super) struct Asked {
    pub(super) answer: Answer,
    pub(super) studies: HashSet<u64>,
    pub(super) without_uid: usize,
}

/// Asks for the studies of a window and lists those that belong to the job.
pub(super) async fn ask(work: &Work, link: &mut Link, keys: &Keys, hasher: &RandomState) -> Result<Asked, JobError> {
    let source = work.source();
    let mut query = study_keys(keys);
    if let ([only], None) = (work.job.spec.modalities.as_slice(), &keys.modality) {
        query.put(tags::MODALITIES_IN_STUDY, only);
    }
    let stop = work.stop.clone();
    let session = link.session(work, &Purpose::Query).await?;
    let mut asked = Asked {
        answer: Answer { rows: 0, distinct: 0, outside_days: 0, outside_times: 0, untimed: 0, status: None, known: 0 },
        studies: HashSet::new(),
        without_uid: 0,
    };
    let mut page = Vec::new();
    let (mut undecided, mut too_many) = (Vec::new(), false);
    let mut find = session.find(QueryLevel::Study, &query, source.timeout.find, &stop).await?;
    loop {
        match find.next().await {
            Ok(Some(row)) => {
                asked.answer.rows += 1;
                match asked.take(keys, &row, hasher).map(|study| belongs(work, study)) {
                    Some(Belongs::Yes(study)) => page.push(study),
                    Some(Belongs::AskSeries(study)) if undecided.len() < MOST_UNDECIDED => undecided.push(study),
                    Some(Belongs::AskSeries(_)) => too_many = true,
                    Some(Belongs::No) | None => {}
                }
                if page.len() >= PAGE {
                    work.engine.catalog.add_studies(work.job.id, std::mem::take(&mut page)).await?;
                    work.news.notify_waiters();
                }
            }
            Ok(None) => {
                asked.answer.status = find.end().filter(|end| !end.cancelled).map(|end| end.status);
                break;
            }
            // A source that falls silent over a key is an answer too (quirk A-6); the association is of no more use.
            Err(error) if error.is_timeout() => break,
            Err(error) => {
                link.broken().await;
                return Err(error.into());
            }
        }
    }
    if asked.answer.status.is_none() {
        link.broken().await;
    }
    if too_many {
        // As if the source had ended its answer early: smaller windows are asked for.
        asked.answer.status = asked.answer.status.map(|_| Status::CANCEL);
    }
    page.extend(modality::wanted(work, link, undecided).await?);
    work.engine.catalog.add_studies(work.job.id, page).await?;
    work.news.notify_waiters();
    asked.answer.distinct = asked.studies.len();
    Ok(asked)
}

impl Asked {
    fn take(&mut self, keys: &Keys, row: &Elements, hasher: &RandomState) -> Option<ListedStudy> {
        let Some(study) = listed_study(row) else {
            self.without_uid += 1;
            return None;
        };
        self.studies.insert(hasher.hash_one(&study.study_uid));
        if study.study_date.is_some_and(|date| !keys.range.contains(date)) {
            self.answer.outside_days += 1;
        }
        if study.study_time.is_empty() {
            self.answer.untimed += 1;
        } else if !keys.takes_time(&study.study_time) {
            self.answer.outside_times += 1;
        }
        Some(study)
    }
}

/// Whether a row is what the job is about.
enum Belongs {
    Yes(ListedStudy),
    No,
    /// The source does not tell the modalities of the study: its series do.
    AskSeries(ListedStudy),
}

/// A row is kept when it is what the job is about, whatever the query was: some sources ignore keys.
fn belongs(work: &Work, study: ListedStudy) -> Belongs {
    let spec = &work.job.spec;
    let range = crate::dicom::DateRange { from: spec.from, to: spec.to };
    let dated =
        range == crate::dicom::DateRange::default() || study.study_date.is_some_and(|date| range.contains(date));
    let named = spec.studies.is_empty() || spec.studies.contains(&study.study_uid);
    if !dated || !named {
        Belongs::No
    } else if spec.modalities.is_empty() || study.modalities.split('\\').any(|m| modality::is_wanted(work, m)) {
        Belongs::Yes(study)
    } else if study.modalities.is_empty() {
        Belongs::AskSeries(study)
    } else {
        Belongs::No
    }
}

/// Asks for studies by their UIDs; those that the source does not know are listed without anything else.
pub(super) async fn ask_by_uid(work: &Work, link: &mut Link, uid: &StudyInstanceUid) -> Result<(), JobError> {
    let source = work.source();
    let mut query = study_keys(&Keys::days(super::plan::Role::Part, crate::dicom::DateRange::default()));
    query.put(tags::STUDY_INSTANCE_UID, uid.as_str());
    let stop = work.stop.clone();
    let session = link.session(work, &Purpose::Query).await?;
    let mut find = session.find(QueryLevel::Study, &query, source.timeout.find, &stop).await?;
    let mut found = None;
    while let Some(row) = find.next().await? {
        found = listed_study(&row).filter(|study| study.study_uid == *uid).or(found);
    }
    if find.end().is_none_or(|end| end.cancelled) {
        // The plan is not at its end, and asks again.
        link.broken().await;
        return Ok(());
    }
    let study = found.unwrap_or_else(|| ListedStudy::of(uid.clone()));
    work.engine.catalog.add_studies(work.job.id, vec![study]).await?;
    work.news.notify_waiters();
    Ok(())
}

/// Lists what the source holds of a study, as evidence: by instances, or by count where it is configured so.
pub(super) async fn list_study(work: &Work, link: &mut Link, study: &ListedStudy) -> Result<Listed, NoList> {
    let result = list(work, link, study).await;
    if matches!(result, Err(NoList::Scu(_) | NoList::Stopped)) {
        link.broken().await;
    }
    result
}

async fn list(work: &Work, link: &mut Link, study: &ListedStudy) -> Result<Listed, NoList> {
    let source = work.source();
    if source.verify == Verify::Count {
        return count(work, link, study).await;
    }
    let mut query = parents(study);
    for tag in
        [tags::MODALITY, tags::SERIES_NUMBER, tags::NUMBER_OF_SERIES_RELATED_INSTANCES, tags::SERIES_INSTANCE_UID]
    {
        query.put(tag, "");
    }
    let mut series: BTreeMap<SeriesInstanceUid, Option<u32>> = BTreeMap::new();
    for row in rows(work, link, study, QueryLevel::Series, &query, MOST_SERIES).await? {
        if of_study(&row, study)
            && let Some(uid) = row.uid(tags::SERIES_INSTANCE_UID)
        {
            series.insert(uid.into(), number(&row, tags::NUMBER_OF_SERIES_RELATED_INSTANCES));
        }
    }
    if series.is_empty() && !exists(work, link, study).await? {
        return Err(NoList::NotFound);
    }
    let mut listed = BTreeMap::new();
    let mut classes = Vec::new();
    for (uid, hint) in series {
        let mut query = parents(study);
        query.put(tags::SERIES_INSTANCE_UID, uid.as_str());
        for tag in [tags::SOP_INSTANCE_UID, tags::SOP_CLASS_UID, tags::INSTANCE_NUMBER] {
            query.put(tag, "");
        }
        let before = listed.len();
        for row in rows(work, link, study, QueryLevel::Image, &query, MOST_INSTANCES).await? {
            let same_series = row.uid(tags::SERIES_INSTANCE_UID).is_none_or(|s| s.as_str() == uid.as_str());
            if !of_study(&row, study) || !same_series {
                continue;
            }
            let Some(instance) = row.uid(tags::SOP_INSTANCE_UID).filter(|i| !i.is_empty()) else {
                return Err(NoList::NoEvidence(format!("a row of series {uid} has no SOP Instance UID")));
            };
            if let Some(class) = row.uid(tags::SOP_CLASS_UID).map(SopClassUid::from)
                && !classes.contains(&class)
            {
                classes.push(class);
            }
            listed.insert(SopInstanceUid::from(instance), uid.clone());
        }
        let got = listed.len() - before;
        // A series that is said to be larger than its list, and a list of a round length: the list was cut.
        if hint.is_some_and(|hint| hint as usize > got) && got >= 100 && got.is_multiple_of(50) {
            return Err(NoList::NoEvidence(format!(
                "the list of series {uid} ends at {got}, the series is said to hold {}",
                hint.unwrap_or(0)
            )));
        }
    }
    Ok(Listed { listing: Listing::Instances(listed), classes })
}

async fn count(work: &Work, link: &mut Link, study: &ListedStudy) -> Result<Listed, NoList> {
    let mut query = parents(study);
    query.put(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, "");
    let rows = rows(work, link, study, QueryLevel::Study, &query, MOST_SERIES).await?;
    let row = rows.iter().find(|row| of_study(row, study)).ok_or(NoList::NotFound)?;
    let count = number(row, tags::NUMBER_OF_STUDY_RELATED_INSTANCES)
        .ok_or_else(|| NoList::NoEvidence("the source does not tell how many instances the study has".into()))?;
    Ok(Listed { listing: Listing::Count(count), classes: Vec::new() })
}

async fn exists(work: &Work, link: &mut Link, study: &ListedStudy) -> Result<bool, NoList> {
    let query = parents(study);
    Ok(rows(work, link, study, QueryLevel::Study, &query, MOST_SERIES).await?.iter().any(|row| of_study(row, study)))
}

/// All rows of an answer that is evidence: it ended with success, and not at a cap.
pub(super) async fn rows(
    work: &Work,
    link: &mut Link,
    study: &ListedStudy,
    level: QueryLevel,
    query: &Elements,
    most: usize,
) -> Result<Vec<Elements>, NoList> {
    let source = work.source();
    let stop = work.stop.clone();
    let session = link.session(work, &Purpose::Query).await?;
    let mut query = query.clone();
    if session.needs_patient_id() {
        query.put(tags::PATIENT_ID, &study.patient_id);
    }
    let mut find = session.find(level, &query, source.timeout.find, &stop).await?;
    let mut rows = Vec::new();
    while let Some(row) = find.next().await? {
        rows.push(row);
        if rows.len() > most {
            return Err(NoList::NoEvidence(format!("the list at {level} level has more than {most} rows")));
        }
    }
    let end = find.end().filter(|end| !end.cancelled).cloned().ok_or(NoList::Stopped)?;
    if !quirks::list_is_whole(&end) {
        let comment = end.comment.map(|comment| format!(": {comment}")).unwrap_or_default();
        return Err(NoList::NoEvidence(format!("the list at {level} level ended with status {}{comment}", end.status)));
    }
    if source.find_limit.is_some_and(|cap| rows.len() >= cap) {
        return Err(NoList::NoEvidence(format!(
            "the list at {level} level ends at the source's cap of {} rows",
            rows.len()
        )));
    }
    Ok(rows)
}

pub(super) fn parents(study: &ListedStudy) -> Elements {
    let mut query = Elements::new();
    query.put(tags::STUDY_INSTANCE_UID, study.study_uid.as_str());
    query
}

/// Some sources ignore the parent's key: a row that names another study is another study's.
pub(super) fn of_study(row: &Elements, study: &ListedStudy) -> bool {
    row.uid(tags::STUDY_INSTANCE_UID).is_none_or(|uid| uid.is_empty() || uid.as_str() == study.study_uid.as_str())
}

fn number(row: &Elements, tag: crate::dicom::Tag) -> Option<u32> {
    row.int(tag).and_then(|n| u32::try_from(n).ok())
}

fn study_keys(keys: &Keys) -> Elements {
    let mut query = Elements::new();
    for tag in [
        tags::STUDY_INSTANCE_UID,
        tags::PATIENT_NAME,
        tags::ISSUER_OF_PATIENT_ID,
        tags::ACCESSION_NUMBER,
        tags::STUDY_ID,
        tags::STUDY_DESCRIPTION,
        tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
    ] {
        // Universal matching is a zero-length value; an asterisk breaks some sources.
        query.put(tag, "");
    }
    query.put(tags::STUDY_DATE, &keys.range.key());
    query.put(tags::STUDY_TIME, &keys.time_key());
    query.put(tags::MODALITIES_IN_STUDY, keys.modality.as_deref().unwrap_or_default());
    query.put(tags::PATIENT_ID, &keys.prefix.as_ref().map(|p| format!("{p}*")).unwrap_or_default());
    query
}

fn listed_study(row: &Elements) -> Option<ListedStudy> {
    let uid = row.uid(tags::STUDY_INSTANCE_UID).filter(|uid| !uid.is_empty())?;
    let text = |tag| row.text(tag).unwrap_or_default();
    let raw = text(tags::STUDY_DATE);
    Some(ListedStudy {
        study_uid: uid.into(),
        study_date: Date::parse(&raw).ok(),
        study_date_raw: raw,
        study_time: text(tags::STUDY_TIME),
        patient_id: text(tags::PATIENT_ID),
        issuer: text(tags::ISSUER_OF_PATIENT_ID),
        patient_name: row.person_name(tags::PATIENT_NAME).unwrap_or_default(),
        accession_number: text(tags::ACCESSION_NUMBER),
        description: text(tags::STUDY_DESCRIPTION),
        modalities: text(tags::MODALITIES_IN_STUDY),
        instances: number(row, tags::NUMBER_OF_STUDY_RELATED_INSTANCES),
    })
}
