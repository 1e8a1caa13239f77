//! Series and instances of studies that are listed and not filed: only their source knows them, and it is asked while
//! somebody waits.

use std::pin::Pin;
use std::sync::Arc;

use crate::catalog::{Catalog, CatalogError, Match, Query, Selection};
use crate::dataset::Elements;
use crate::dicom::{QueryLevel, SeriesInstanceUid, StudyInstanceUid, Tag, tags};

/// The most studies of one query whose sources are asked.
const MOST_STUDIES: usize = 4;
/// The most series of one query whose instances are asked for.
const MOST_SERIES: usize = 64;

/// What a source is asked for: the series of a study, or the instances of a series.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name of the source.
    pub source: String,
    /// The study.
    pub study: StudyInstanceUid,
    /// The series whose instances are asked for.
    pub series: Option<SeriesInstanceUid>,
    /// What shall be returned.
    pub tags: Vec<Tag>,
}

/// What it answers, or why it does not, in words.
pub type Answers = Pin<Box<dyn Future<Output = Result<Vec<Elements>, String>> + Send>>;

/// Asks a source, within its limits.
pub type Ask = Arc<dyn Fn(Wanted) -> Answers + Send + Sync>;

/// What sources know of studies that are not filed. A clone is another handle.
#[derive(Clone)]
pub struct Beyond {
    catalog: Catalog,
    ask: Ask,
}

/// Why it cannot be said.
#[derive(Debug, thiserror::Error)]
pub enum BeyondError {
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The source does not answer.
    #[error("still on {source_name}: {why}")]
    Silent {
        /// Which one.
        source_name: String,
        /// Why not.
        why: String,
    },
    /// More was asked for than a source is asked for at once.
    #[error("studies that are not filed: {0} at most at once")]
    TooMany(usize),
}

impl Beyond {
    /// With what asks sources.
    pub fn new(catalog: Catalog, ask: Ask) -> Beyond {
        Beyond { catalog, ask }
    }

    /// The answers to a query below the level of studies, of those studies that it names and of which nothing is filed.
    pub async fn answers(&self, query: &Query) -> Result<Vec<Match>, BeyondError> {
        let level = query.level();
        if level < QueryLevel::Series {
            return Ok(Vec::new());
        }
        let mut answers = Vec::new();
        let mut asked = 0;
        for study in query.uids(tags::STUDY_INSTANCE_UID).iter().map(|uid| StudyInstanceUid::new(uid)) {
            let Some(standing) = self.catalog.awaited_study(&study).await? else { continue };
            let all = Selection { studies: vec![study.clone()], ..Selection::default() };
            if !self.catalog.select(&all, 1).await?.instances.is_empty() {
                continue;
            }
            asked += 1;
            if asked > MOST_STUDIES {
                return Err(BeyondError::TooMany(MOST_STUDIES));
            }
            let source = standing.source;
            let series: Vec<Option<SeriesInstanceUid>> = match level {
                QueryLevel::Image => self.series(query, &source, &study).await?.into_iter().map(Some).collect(),
                _ => vec![None],
            };
            for series in series {
                let tags = query.returned().map(|attribute| attribute.tag).collect();
                let rows = self.rows(&source, &study, series.clone(), tags).await?;
                answers.extend(rows.iter().filter_map(|row| {
                    query.found(|tag| match (tag, &series) {
                        (tags::STUDY_INSTANCE_UID, _) => study.to_string(),
                        (tags::SERIES_INSTANCE_UID, Some(series)) => series.to_string(),
                        (tag, _) => row.text(tag).unwrap_or_default(),
                    })
                }));
            }
        }
        Ok(answers)
    }

    /// The series whose instances are asked for: those that are named, else all of the study.
    async fn series(
        &self,
        query: &Query,
        source: &str,
        study: &StudyInstanceUid,
    ) -> Result<Vec<SeriesInstanceUid>, BeyondError> {
        let named = query.uids(tags::SERIES_INSTANCE_UID);
        let mut series: Vec<SeriesInstanceUid> = named.iter().map(|uid| SeriesInstanceUid::new(uid)).collect();
        if series.is_empty() {
            let rows = self.rows(source, study, None, vec![tags::SERIES_INSTANCE_UID]).await?;
            series = rows.iter().filter_map(|row| row.uid(tags::SERIES_INSTANCE_UID)).map(Into::into).collect();
        }
        if series.len() > MOST_SERIES {
            return Err(BeyondError::TooMany(MOST_SERIES));
        }
        Ok(series)
    }

    async fn rows(
        &self,
        source: &str,
        study: &StudyInstanceUid,
        series: Option<SeriesInstanceUid>,
        tags: Vec<Tag>,
    ) -> Result<Vec<Elements>, BeyondError> {
        let wanted = Wanted { source: source.to_owned(), study: study.clone(), series, tags };
        (self.ask)(wanted).await.map_err(|why| BeyondError::Silent { source_name: source.to_owned(), why })
    }
}
