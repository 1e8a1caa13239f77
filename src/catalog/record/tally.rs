//! What a batch means for the items of jobs: whose pull an object answers, and the counts that are kept.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Transaction, params};

use super::Outcome;
use crate::catalog::codes::signed;
use crate::catalog::pace;
use crate::db::DbError;
use crate::dicom::StudyInstanceUid;

#[derive(Default)]
pub(super) struct Tally {
    /// By source and study.
    targets: HashMap<(i64, i64), Option<Target>>,
    counts: HashMap<i64, Counts>,
}

#[derive(Clone, Copy)]
struct Target {
    item: i64,
    job: i64,
    checkpoint: Option<i64>,
}

struct Counts {
    target: Target,
    arrived: i64,
    bytes: i64,
    new: i64,
    duplicate: i64,
    variant: i64,
    collision: i64,
    quarantined: i64,
}

impl Tally {
    /// The item that an object of this study from this source is for: the one whose pull is open, or else the latest one
    /// of a job that is not over.
    pub(super) fn item(
        &mut self,
        tx: &Transaction<'_>,
        source: i64,
        study: i64,
        uid: &StudyInstanceUid,
    ) -> Result<Option<i64>, DbError> {
        if source == 0 {
            return Ok(None);
        }
        let target = match self.targets.get(&(source, study)) {
            Some(target) => *target,
            None => {
                let target = look(tx, source, uid)?;
                self.targets.insert((source, study), target);
                target
            }
        };
        if let Some(target) = target {
            self.counts.entry(target.item).or_insert(Counts {
                target,
                arrived: 0,
                bytes: 0,
                new: 0,
                duplicate: 0,
                variant: 0,
                collision: 0,
                quarantined: 0,
            });
        }
        Ok(target.map(|target| target.item))
    }

    /// An object arrived for an item. One in quarantine that was counted already only adds its bytes.
    pub(super) fn count(&mut self, item: i64, outcome: Outcome, length: u64, counted: bool) {
        let Some(counts) = self.counts.get_mut(&item) else { return };
        counts.arrived += 1;
        counts.bytes = counts.bytes.saturating_add(signed(length));
        if counted {
            return;
        }
        match outcome {
            Outcome::New => counts.new += 1,
            Outcome::Duplicate | Outcome::AlreadyMoved => counts.duplicate += 1,
            Outcome::Variant => counts.variant += 1,
            Outcome::Collision => counts.collision += 1,
            Outcome::Quarantined => counts.quarantined += 1,
        }
    }

    /// Writes the counts; those of the jobs follow by trigger.
    pub(super) fn write(&self, tx: &Transaction<'_>, now: i64) -> Result<(), DbError> {
        let mut by_job: HashMap<i64, (i64, i64)> = HashMap::new();
        for (item, counts) in self.counts.iter().filter(|(_, counts)| counts.arrived > 0) {
            tx.prepare_cached(
                "UPDATE items SET filed = filed + ?2, duplicate = duplicate + ?3, variant = variant + ?4,
                    collision = collision + ?5, quarantined = quarantined + ?6, bytes = bytes + ?7 WHERE id = ?1",
            )?
            .execute(params![
                item,
                counts.new,
                counts.duplicate,
                counts.variant,
                counts.collision,
                counts.quarantined,
                counts.bytes
            ])?;
            if let Some(checkpoint) = counts.target.checkpoint {
                tx.prepare_cached("UPDATE checkpoints SET received = received + ?2, updated = ?3 WHERE id = ?1")?
                    .execute([checkpoint, counts.arrived, now])?;
            }
            let job = by_job.entry(counts.target.job).or_default();
            job.0 += counts.arrived;
            job.1 = job.1.saturating_add(counts.bytes);
        }
        for (job, (objects, bytes)) in by_job {
            pace::arrived(tx, job, now, objects, bytes)?;
        }
        Ok(())
    }
}

fn look(tx: &Transaction<'_>, source: i64, uid: &StudyInstanceUid) -> Result<Option<Target>, DbError> {
    Ok(tx
        .prepare_cached(TARGET)?
        .query_row(params![uid.as_str(), source], |row| {
            Ok(Target { item: row.get(0)?, job: row.get(1)?, checkpoint: row.get(2)? })
        })
        .optional()?)
}

/// Jobs 4 and 5 are over.
pub(in crate::catalog) const TARGET: &str =
    "SELECT i.id, i.job, (SELECT max(c.id) FROM checkpoints c WHERE c.item = i.id AND c.closed IS NULL) AS open
     FROM items i CROSS JOIN jobs j ON j.id = i.job
     WHERE i.study_uid = ?1 AND j.source = ?2 AND (j.state NOT IN (4, 5) OR open IS NOT NULL)
     ORDER BY open IS NULL, i.id DESC LIMIT 1";
