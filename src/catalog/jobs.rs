//! Jobs: what was asked for, what the operator wants, how far it is.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::codes::{capped, now, unsigned};
use super::spec::StoredSpec;
use super::{Catalog, CatalogError, JobSpec, source_id};
use crate::db::DbError;

/// What kind of job it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Studies of a source PACS.
    Migration,
    /// Folders of files.
    Import,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Has work to do; queued as long as `started` is empty.
    Running,
    /// Was told to stop and is not quiet yet.
    Stopping,
    /// Stopped by the operator.
    Paused,
    /// Something must be mended by an administrator; the message says what.
    Halted,
    /// Nothing is left to do.
    Finished,
    /// Given up by the operator.
    Cancelled,
}

/// What the operator wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Control {
    /// That it goes on.
    Run,
    /// That it stops, to go on later.
    Pause,
    /// That it is given up.
    Cancel,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// What was asked for.
    pub spec: JobSpec,
    /// How far it is.
    pub state: JobState,
    /// What the operator wants.
    pub control: Control,
    /// What must be mended, when it is halted.
    pub message: Option<String>,
    /// When it was made.
    pub created: i64,
    /// When it ran for the first time.
    pub started: Option<i64>,
    /// When it was finished or cancelled.
    pub ended: Option<i64>,
    /// Whether everything that was asked for is listed.
    pub enumerated: bool,
}

/// Something about a job that its report must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When it was noted.
    pub at: i64,
    /// A short word for what it is about.
    pub kind: String,
    /// The sentence.
    pub text: String,
}

impl JobState {
    /// The word that reports use.
    pub fn as_text(self) -> &'static str {
        match self {
            JobState::Running => "running",
            JobState::Stopping => "stopping",
            JobState::Paused => "paused",
            JobState::Halted => "halted",
            JobState::Finished => "finished",
            JobState::Cancelled => "cancelled",
        }
    }

    /// Whether it will not go on by itself or by a resume.
    pub fn is_over(self) -> bool {
        matches!(self, JobState::Finished | JobState::Cancelled)
    }
}

impl JobKind {
    /// The word that reports use.
    pub fn as_text(self) -> &'static str {
        match self {
            JobKind::Migration => "migration",
            JobKind::Import => "import",
        }
    }
}

/// The longest sentence that is kept, in characters.
const LONGEST_TEXT: usize = 4000;

const COLUMNS: &str = "id, spec, state, control, message, created, started, ended, enumerated";

fn job_of(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(0)?,
        spec: StoredSpec::read(row.get_ref(1)?.as_str()?)?,
        state: row.get(2)?,
        control: row.get(3)?,
        message: row.get(4)?,
        created: row.get(5)?,
        started: row.get(6)?,
        ended: row.get(7)?,
        enumerated: row.get(8)?,
    })
}

/// One job, by the end of a statement.
fn one(c: &Connection, rest: &str, parameters: impl rusqlite::Params) -> Result<Option<Job>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM jobs {rest}");
    Ok(c.prepare_cached(&sql)?.query_row(parameters, job_of).optional()?)
}

impl Catalog {
    /// Makes a job.
    pub async fn create_job(&self, spec: &JobSpec) -> Result<Job, CatalogError> {
        let (text, source) = (StoredSpec::text_of(spec)?, spec.source.clone());
        let made = self
            .write(move |tx| {
                let source = source_id(tx, source.as_deref())?;
                tx.execute(
                    "INSERT INTO jobs (source, spec, state, control, created) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![source, text, JobState::Running, Control::Run, now()],
                )?;
                let id = tx.last_insert_rowid();
                Ok((id, one(tx, "WHERE id = ?1", [id])?))
            })
            .await?;
        made.1.ok_or(CatalogError::NoSuchJob(made.0))
    }

    /// The job of that number.
    pub async fn job(&self, id: i64) -> Result<Option<Job>, CatalogError> {
        self.read(move |c| one(c, "WHERE id = ?1", [id])).await
    }

    /// The job that was made last.
    pub async fn last_job(&self) -> Result<Option<Job>, CatalogError> {
        self.read(|c| one(c, "ORDER BY id DESC LIMIT 1", [])).await
    }

    /// All jobs, the latest first.
    pub async fn jobs(&self) -> Result<Vec<Job>, CatalogError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs ORDER BY id DESC"))?;
            Ok(statement.query_map([], job_of)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The latest job with the same specification that is neither finished nor cancelled.
    pub async fn unfinished_like(&self, spec: &JobSpec) -> Result<Option<Job>, CatalogError> {
        let text = StoredSpec::text_of(spec)?;
        self.read(move |c| {
            one(
                c,
                "WHERE spec = ?1 AND state NOT IN (?2, ?3) ORDER BY id DESC LIMIT 1",
                params![text, JobState::Finished, JobState::Cancelled],
            )
        })
        .await
    }

    /// Says what the operator wants.
    pub async fn set_control(&self, id: i64, control: Control) -> Result<(), CatalogError> {
        self.change_job(id, "UPDATE jobs SET control = ?2 WHERE id = ?1", control).await
    }

    /// Says how far the job is. Running sets `started` once and clears `ended`; finished and cancelled set `ended`.
    pub async fn set_job_state(&self, id: i64, state: JobState, message: Option<&str>) -> Result<(), CatalogError> {
        let message = message.map(|text| capped(text, LONGEST_TEXT).to_owned());
        let changed = self
            .write(move |tx| {
                let running = state == JobState::Running;
                Ok(tx
                    .prepare_cached(
                        "UPDATE jobs SET state = ?2, message = ?3,
                            started = CASE WHEN ?4 THEN coalesce(started, ?6) ELSE started END,
                            ended = CASE WHEN ?4 THEN NULL WHEN ?5 THEN coalesce(ended, ?6) ELSE ended END
                         WHERE id = ?1",
                    )?
                    .execute(params![id, state, message, running, state.is_over(), now()])?)
            })
            .await?;
        if changed == 0 { Err(CatalogError::NoSuchJob(id)) } else { Ok(()) }
    }

    /// Says whether everything that was asked for is listed.
    pub async fn set_enumerated(&self, id: i64, enumerated: bool) -> Result<(), CatalogError> {
        self.change_job(id, "UPDATE jobs SET enumerated = ?2 WHERE id = ?1", enumerated).await
    }

    /// Keeps a sentence for the report. The same sentence is kept once.
    pub async fn append_note(&self, job: i64, kind: &str, text: &str) -> Result<(), CatalogError> {
        let (kind, text) = (capped(kind, 100).to_owned(), capped(text, LONGEST_TEXT).to_owned());
        self.write(move |tx| {
            tx.prepare_cached(
                "INSERT INTO job_notes (job, at, kind, text) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )?
            .execute(params![job, now(), kind, text])?;
            Ok(())
        })
        .await
    }

    /// The sentences kept for the report, the earliest first, 10,000 at most.
    pub async fn notes(&self, job: i64) -> Result<Vec<Note>, CatalogError> {
        self.read(move |c| {
            let mut statement =
                c.prepare_cached("SELECT at, kind, text FROM job_notes WHERE job = ?1 ORDER BY id LIMIT 10000")?;
            let note = |row: &Row<'_>| Ok(Note { at: row.get(0)?, kind: row.get(1)?, text: row.get(2)? });
            Ok(statement.query_map([job], note)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// How many of these are of one of the kinds.
    pub async fn count_notes(&self, job: i64, kinds: &[&str]) -> Result<u64, CatalogError> {
        let kinds = serde_json::Value::from(kinds).to_string();
        self.read(move |c| {
            let sql = "SELECT count(*) FROM job_notes WHERE job = ?1 AND kind IN (SELECT value FROM json_each(?2))";
            Ok(unsigned(c.prepare_cached(sql)?.query_row(params![job, kinds], |row| row.get(0))?))
        })
        .await
    }

    /// What the plan of the job remembers (JSON of the job module).
    pub async fn plan_state(&self, job: i64) -> Result<Option<String>, CatalogError> {
        self.read(move |c| {
            let found = c
                .prepare_cached("SELECT plan FROM jobs WHERE id = ?1")?
                .query_row([job], |row| row.get(0))
                .optional()?;
            Ok(found.flatten())
        })
        .await
    }

    /// Remembers the plan's state.
    pub async fn set_plan_state(&self, job: i64, state: &str) -> Result<(), CatalogError> {
        self.change_job(job, "UPDATE jobs SET plan = ?2 WHERE id = ?1", state.to_owned()).await
    }

    async fn change_job(
        &self,
        id: i64,
        sql: &'static str,
        value: impl ToSql + Send + 'static,
    ) -> Result<(), CatalogError> {
        let changed = self.write(move |tx| Ok(tx.prepare_cached(sql)?.execute(params![id, value])?)).await?;
        if changed == 0 { Err(CatalogError::NoSuchJob(id)) } else { Ok(()) }
    }
}
