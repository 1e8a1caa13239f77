//! The operations, for people and for whoever goes on with them.

use rusqlite::{OptionalExtension, Row, params};

use super::{CorrectionKind, CorrectionMode, CorrectionState, Role};
use crate::catalog::codes::unsigned;
use crate::catalog::{Catalog, CatalogError};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Its number.
    pub id: i64,
    /// Its name in the journal of the storage folder.
    pub key: String,
    /// What it is.
    pub kind: CorrectionKind,
    /// Who has to know.
    pub mode: CorrectionMode,
    /// Where it stands.
    pub state: CorrectionState,
    /// When it was flipped on, or staged; in unix milliseconds.
    pub at: i64,
    /// Who did it.
    pub operator: String,
    /// Why: a code.
    pub reason: String,
    /// And in words.
    pub reason_text: String,
    /// The study that objects left.
    pub source: StudyInstanceUid,
    /// The study that they came to.
    pub destination: StudyInstanceUid,
    /// How many objects it shows elsewhere.
    pub moved: u64,
    /// How many it hides.
    pub hidden: u64,
    /// How many documents it has written.
    pub written: u64,
    /// When it was undone.
    pub undone_at: Option<i64>,
    /// By whom.
    pub undone_by: String,
    /// What was planned, as JSON.
    pub sheet: String,
}

/// Which operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorrectionFilter {
    /// All but those that are staged.
    All,
    /// That one, staged or not.
    Number(i64),
    /// Those that a study was source or destination of.
    Study(StudyInstanceUid),
    /// Those of which all of this holds, as far as it is said; none that is staged.
    Like(CorrectionLike),
}

/// What operations are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorrectionLike {
    /// The study that was their source or destination.
    pub study: Option<StudyInstanceUid>,
    /// What they are.
    pub kind: Option<CorrectionKind>,
    /// Where they stand.
    pub state: Option<CorrectionState>,
    /// Who did them.
    pub operator: Option<String>,
    /// The code of their reason.
    pub reason: Option<String>,
}

/// An object of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectedInstance {
    /// Its number in the catalog; below zero where its file is not here.
    pub id: i64,
    /// What the operation does to it.
    pub role: Role,
    /// The SOP Instance UID that it was filed with.
    pub filed: SopInstanceUid,
    /// The one that it was shown with before.
    pub old: SopInstanceUid,
    /// The one that it is shown with by this operation.
    pub new: SopInstanceUid,
    /// The study and the series that it was shown in before; empty for what was not shown.
    pub from: (StudyInstanceUid, SeriesInstanceUid),
    /// Those that it is shown in by this operation; empty for what is not shown.
    pub to: (StudyInstanceUid, SeriesInstanceUid),
}

impl Catalog {
    /// A page of operations, the latest first, before a number.
    pub async fn corrections(
        &self,
        filter: &CorrectionFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Correction>, CatalogError> {
        let none = CorrectionLike::default();
        let (which, number, like) = match filter {
            CorrectionFilter::All => ("co.state <> 0", 0, none),
            CorrectionFilter::Number(number) => ("co.id = ?3", *number, none),
            CorrectionFilter::Study(study) => (OF_STUDY, 0, CorrectionLike { study: Some(study.clone()), ..none }),
            CorrectionFilter::Like(like) if like.study.is_some() => (OF_STUDY, 0, like.clone()),
            CorrectionFilter::Like(like) => ("co.state <> 0", 0, like.clone()),
        };
        let sql = format!(
            "{COLUMNS} WHERE co.id < ?1 AND {which} AND ?3 IS NOT NULL AND ?4 IS NOT NULL
                AND (?5 IS NULL OR co.kind = ?5) AND (?6 IS NULL OR co.state = ?6)
                AND (?7 IS NULL OR co.operator = ?7) AND (?8 IS NULL OR co.reason = ?8)
             ORDER BY co.id DESC LIMIT ?2"
        );
        self.read(move |c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let CorrectionLike { study, kind, state, operator, reason } = like;
            let study = study.as_ref().map_or("", |study| study.as_str());
            let asked = params![before.unwrap_or(i64::MAX), limit, number, study, kind, state, operator, reason];
            let mut statement = c.prepare_cached(&sql)?;
            Ok(statement.query_map(asked, correction)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The operation of that number.
    pub async fn correction(&self, id: i64) -> Result<Option<Correction>, CatalogError> {
        Ok(self.corrections(&CorrectionFilter::Number(id), None, 1).await?.pop())
    }

    /// What the moved objects of an operation have in another way, as it was staged.
    pub async fn correction_amendment(&self, id: i64) -> Result<Option<Vec<u8>>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT amendment FROM corrections WHERE id = ?1")?;
            Ok(statement.query_row([id], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// A page of the objects of an operation, after the number of the last one (`i64::MIN` for the first page).
    pub async fn corrected_instances(
        &self,
        id: i64,
        after: i64,
        limit: usize,
    ) -> Result<Vec<CorrectedInstance>, CatalogError> {
        self.read(move |c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(INSTANCES)?;
            let rows = statement.query_map(params![id, after, limit], instance)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn correction(row: &Row<'_>) -> rusqlite::Result<Correction> {
    let study = |at| row.get_ref(at)?.as_str().map(StudyInstanceUid::new).map_err(rusqlite::Error::from);
    Ok(Correction {
        id: row.get(0)?,
        key: row.get(1)?,
        kind: row.get(2)?,
        mode: row.get(3)?,
        state: row.get(4)?,
        at: row.get(5)?,
        operator: row.get(6)?,
        reason: row.get(7)?,
        reason_text: row.get(8)?,
        source: study(9)?,
        destination: study(10)?,
        moved: unsigned(row.get(11)?),
        hidden: unsigned(row.get(12)?),
        written: unsigned(row.get(13)?),
        undone_at: row.get(14)?,
        undone_by: row.get(15)?,
        sheet: row.get(16)?,
    })
}

fn instance(row: &Row<'_>) -> rusqlite::Result<CorrectedInstance> {
    let text = |at| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str_or_null()?.unwrap_or_default());
    let series =
        |at| Ok::<_, rusqlite::Error>((StudyInstanceUid::new(text(at)?), SeriesInstanceUid::new(text(at + 1)?)));
    let filed = SopInstanceUid::new(text(2)?);
    let uid = |at| Ok::<_, rusqlite::Error>(Some(text(at)?).filter(|uid| !uid.is_empty()).map(SopInstanceUid::new));
    Ok(CorrectedInstance {
        id: row.get(0)?,
        role: row.get(1)?,
        old: uid(3)?.unwrap_or_else(|| filed.clone()),
        new: uid(4)?.unwrap_or_else(|| filed.clone()),
        filed,
        from: series(5)?,
        to: series(7)?,
    })
}

const COLUMNS: &str =
    "SELECT co.id, co.key, co.kind, co.mode, co.state, co.at, co.operator, co.reason, co.reason_text, so.uid,
        de.uid,
        (SELECT count(*) FROM correction_instances ci WHERE ci.correction = co.id AND ci.role IN (0, 3)),
        (SELECT count(*) FROM correction_instances ci WHERE ci.correction = co.id AND ci.role = 1),
        (SELECT count(*) FROM correction_instances ci WHERE ci.correction = co.id AND ci.role = 2),
        co.undone_at, co.undone_by, co.sheet
    FROM corrections co CROSS JOIN studies so ON so.id = co.source CROSS JOIN studies de ON de.id = co.destination";
const OF_STUDY: &str = "co.state <> 0 AND co.id IN (
    SELECT x.id FROM studies st CROSS JOIN corrections x ON x.source = st.id WHERE st.uid = ?4
    UNION SELECT x.id FROM studies st CROSS JOIN corrections x ON x.destination = st.id WHERE st.uid = ?4)";
const INSTANCES: &str =
    "SELECT ci.instance, ci.role, coalesce(i.uid, a.uid), pr.new_uid, ci.new_uid, so.uid, sn.uid, de.uid, dn.uid
    FROM correction_instances ci
        LEFT JOIN instances i ON i.id = ci.instance LEFT JOIN awaited a ON a.id = -ci.instance
        LEFT JOIN correction_instances pr ON pr.correction = ci.previous AND pr.instance = ci.instance
        CROSS JOIN series sn ON sn.id = ci.old_series CROSS JOIN studies so ON so.id = sn.study
        LEFT JOIN series dn ON dn.id = ci.new_series LEFT JOIN studies de ON de.id = dn.study
    WHERE ci.correction = ?1 AND ci.instance > ?2 ORDER BY ci.instance LIMIT ?3";
