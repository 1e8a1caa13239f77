//! Who agreed that a study stays behind, and why.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, params};

use super::codes::{capped, now, unsigned};
use super::items::LONGEST_TEXT;
use super::{Catalog, CatalogError, Item, ItemState, Reason};
use crate::dicom::StudyInstanceUid;
use crate::store::JournalEntry;

/// That a study stays behind is agreed to. It holds for as long as the study stays in the state that it was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// When, in unix milliseconds.
    pub at: i64,
    /// Who.
    pub operator: String,
    /// Why.
    pub why: String,
}

/// An approval, and what it is of. By the name of the source, so that it outlives the job, and the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The name of the source; empty for a folder.
    pub source: String,
    /// The study.
    pub study: StudyInstanceUid,
    /// The state that it stays in.
    pub state: ItemState,
    /// Why it does.
    pub reason: Option<Reason>,
    /// Who agreed to that.
    pub approval: Approval,
}

impl Agreement {
    /// As the journal has it.
    pub fn entry(&self) -> JournalEntry {
        JournalEntry::Approval {
            source: self.source.clone(),
            study: self.study.to_string(),
            state: self.state.as_text().to_owned(),
            reason: self.reason.map(|reason| reason.as_text().to_owned()),
            by: self.approval.operator.clone(),
            why: self.approval.why.clone(),
            at: self.approval.at,
        }
    }

    /// What an entry of the journal says, if it is an approval that means something to this version.
    pub fn of(entry: JournalEntry) -> Option<Agreement> {
        let JournalEntry::Approval { source, study, state, reason, by, why, at } = entry else { return None };
        let reason = match reason {
            Some(text) => Some(Reason::parse(&text)?),
            None => None,
        };
        let (study, state) = (StudyInstanceUid::new(&study), ItemState::parse(&state)?);
        Some(Agreement { source, study, state, reason, approval: Approval { at, operator: by, why } })
    }
}

/// The studies of a job that ended without proof, and how many of them are approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Approved {
    /// Partial, failed, excluded and cancelled.
    pub behind: u64,
    /// Those of them that somebody agreed to.
    pub approved: u64,
}

const OF_ITEMS: &str =
    "SELECT a.item, a.at, a.operator, a.why FROM json_each(?1) j CROSS JOIN approvals a ON a.item = j.value";
pub(super) const COUNT: &str = "SELECT (SELECT count(*) FROM approvals WHERE job = ?1),
    (SELECT coalesce(sum(items), 0) FROM job_states WHERE job = ?1 AND state IN (5, 6, 7, 8))";

fn approval_of(row: &Row<'_>) -> rusqlite::Result<(i64, Approval)> {
    Ok((row.get(0)?, Approval { at: row.get(1)?, operator: row.get(2)?, why: row.get(3)? }))
}

impl Catalog {
    /// Writes down that a study stays behind, in the name of whoever agreed. `None` when the job has no such study; its
    /// state when it is one that nobody has to agree to.
    pub async fn approve(
        &self,
        job: i64,
        study: &StudyInstanceUid,
        operator: &str,
        why: &str,
    ) -> Result<Option<Result<Agreement, ItemState>>, CatalogError> {
        let (study, operator, why) = (study.clone(), operator.to_owned(), capped(why, LONGEST_TEXT).to_owned());
        self.write(move |tx| {
            let found: Option<(i64, ItemState, Option<Reason>, String)> = tx
                .prepare_cached(
                    "SELECT i.id, i.state, i.reason, s.name FROM items i CROSS JOIN jobs j ON j.id = i.job
                        CROSS JOIN sources s ON s.id = j.source WHERE i.study_uid = ?1 AND i.job = ?2",
                )?
                .query_row(params![study.as_str(), job], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                .optional()?;
            let Some((item, state, reason, source)) = found else { return Ok(None) };
            if state.is_pending() || state == ItemState::Proven {
                return Ok(Some(Err(state)));
            }
            let approval = Approval { at: now(), operator, why };
            tx.prepare_cached(
                "INSERT OR REPLACE INTO approvals (item, job, at, operator, why) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![item, job, approval.at, approval.operator, approval.why])?;
            Ok(Some(Ok(Agreement { source, study, state, reason, approval })))
        })
        .await
    }

    /// What the journal says was agreed to, in a catalog made anew: for when the study stays behind once more. Blocking.
    pub fn replay_approval(&self, agreed: Agreement) -> Result<(), CatalogError> {
        Ok(self.db.write_blocking(move |tx| {
            let Agreement { source, study, state, reason, approval: Approval { at, operator, why } } = agreed;
            tx.prepare_cached(
                "INSERT OR REPLACE INTO agreed (study_uid, source, state, reason, at, operator, why)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![study.as_str(), source, state, reason, at, operator, why])?;
            Ok(())
        })?)
    }

    /// The approvals of these items, by the item's number.
    pub async fn approvals_of(&self, items: &[Item]) -> Result<HashMap<i64, Approval>, CatalogError> {
        let ended = items.iter().filter(|item| !item.state.is_pending() && item.state != ItemState::Proven);
        let ids: Vec<i64> = ended.map(|item| item.id).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = serde_json::Value::from(ids).to_string();
        self.read(move |c| {
            let mut statement = c.prepare_cached(OF_ITEMS)?;
            Ok(statement.query_map([ids], approval_of)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// How many studies of a job stay behind, and how many of them are approved.
    pub async fn approved(&self, job: i64) -> Result<Approved, CatalogError> {
        self.read(move |c| {
            let counts =
                |row: &Row<'_>| Ok(Approved { approved: unsigned(row.get(0)?), behind: unsigned(row.get(1)?) });
            Ok(c.prepare_cached(COUNT)?.query_row([job], counts)?)
        })
        .await
    }
}
