//! What the sender of the outbox asks and remembers.

use std::collections::HashSet;
use std::time::Duration;

use rusqlite::{OptionalExtension, Row, params};

use super::{ENTRIES, ErrandState, LONGEST_DETAIL, OutboxEntry, entry, list};
use crate::catalog::codes::{capped, millis, now, signed, size, unsigned};
use crate::catalog::{Catalog, CatalogError};
use crate::dicom::StudyInstanceUid;

/// How far a publication is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// How many objects of its list have been tried.
    pub position: usize,
    /// How many were taken.
    pub sent: u64,
    /// Those that were not taken.
    pub refused: Vec<i64>,
    /// How often all that was missing has been tried.
    pub passes: u32,
}

impl Catalog {
    /// Entries whose time has come, the longest waiting first, save those of lanes that are busy.
    pub async fn due_errands(&self, busy: Vec<String>, limit: usize) -> Result<Vec<OutboxEntry>, CatalogError> {
        let (busy, limit) = (serde_json::Value::from(busy).to_string(), signed(limit as u64));
        self.read(move |c| {
            let parameters = params![now(), limit, busy];
            Ok(c.prepare_cached(&due())?.query_map(parameters, entry)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Puts off an entry that could not be told, or `all` that waits for the same side.
    pub async fn put_off_errand(&self, id: i64, by: Duration, detail: &str, all: bool) -> Result<(), CatalogError> {
        let (due, detail) = (now().saturating_add(millis(by)), capped(detail, LONGEST_DETAIL).to_owned());
        self.write(move |tx| {
            tx.prepare_cached(
                "UPDATE outbox SET attempts = attempts + 1, due = ?2, detail = ?3 WHERE id = ?1 AND state = 0",
            )?
            .execute(params![id, due, detail])?;
            if all {
                tx.prepare_cached(&of_lane("max(due, ?2)"))?.execute([id, due])?;
            }
            Ok(())
        })
        .await
    }

    /// An entry has come to its end. When the other side was told, what else waits for it can be told now.
    pub async fn end_errand(&self, id: i64, state: ErrandState, detail: &str) -> Result<(), CatalogError> {
        let detail = capped(detail, LONGEST_DETAIL).to_owned();
        self.write(move |tx| {
            let now = now();
            tx.prepare_cached("UPDATE outbox SET state = ?2, ended = ?3, detail = ?4 WHERE id = ?1 AND state = 0")?
                .execute(params![id, state, now, detail])?;
            if state == ErrandState::Done {
                tx.prepare_cached(&of_lane("min(due, ?2)"))?.execute([id, now])?;
            }
            Ok(())
        })
        .await
    }

    /// The objects that a publication is of, in the order in which they are sent.
    pub async fn to_publish(&self, id: i64) -> Result<Vec<i64>, CatalogError> {
        self.read(move |c| {
            let (mut objects, mut known) = (Vec::new(), HashSet::new());
            for sql in [NAMED, OF_OPERATION] {
                let mut statement = c.prepare_cached(sql)?;
                for object in statement.query_map([id], |row| row.get::<_, i64>(0))? {
                    let object = object?;
                    if known.insert(object) {
                        objects.push(object);
                    }
                }
            }
            Ok(objects)
        })
        .await
    }

    /// How far a publication is.
    pub async fn published(&self, id: i64) -> Result<Published, CatalogError> {
        self.read(move |c| {
            let sql = "SELECT position, sent, refused, passes FROM outbox WHERE id = ?1";
            let published = |row: &Row<'_>| {
                let refused = list(row.get_ref(2)?.as_str()?)?;
                Ok(Published { position: size(row.get(0)?), sent: unsigned(row.get(1)?), refused, passes: row.get(3)? })
            };
            Ok(c.prepare_cached(sql)?.query_row([id], published)?)
        })
        .await
    }

    /// Remembers how far a publication is.
    pub async fn set_published(&self, id: i64, published: &Published) -> Result<(), CatalogError> {
        let Published { position, sent, refused, passes } = published.clone();
        self.write(move |tx| {
            let refused = serde_json::Value::from(refused).to_string();
            tx.prepare_cached("UPDATE outbox SET position = ?2, sent = ?3, refused = ?4, passes = ?5 WHERE id = ?1")?
                .execute(params![id, signed(position as u64), signed(sent), refused, passes])?;
            Ok(())
        })
        .await
    }

    /// The accession number of a study, and how many instances it shows; `None` when there is no such study.
    pub async fn to_rescan(&self, study: &StudyInstanceUid) -> Result<Option<(String, u64)>, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let sql = "SELECT accession_number, instances FROM studies WHERE uid = ?1 AND uid <> ''";
            let read = |row: &Row<'_>| Ok((row.get(0)?, unsigned(row.get(1)?)));
            Ok(c.prepare_cached(sql)?.query_row([study.as_str()], read).optional()?)
        })
        .await
    }
}

/// Waiting entries whose time has come.
pub(in crate::catalog) fn due() -> String {
    format!(
        "{ENTRIES} WHERE state = 0 AND due <= ?1 AND lane NOT IN (SELECT value FROM json_each(?3))
         ORDER BY due, id LIMIT ?2"
    )
}

/// Changes when the others of a lane are due.
fn of_lane(due: &str) -> String {
    format!(
        "UPDATE outbox SET due = {due} WHERE state = 0 AND id <> ?1
            AND (kind, lane) = (SELECT kind, lane FROM outbox WHERE id = ?1)"
    )
}

pub(in crate::catalog) const NAMED: &str =
    "SELECT j.value FROM outbox o CROSS JOIN json_each(o.objects) j WHERE o.id = ?1 ORDER BY j.key";

/// What it has written first: a rejection note comes before what replaces the rejected. What it hides is not sent.
pub(in crate::catalog) const OF_OPERATION: &str = "SELECT ci.instance
    FROM outbox o CROSS JOIN correction_instances ci ON ci.correction = o.operation
    WHERE o.id = ?1 AND ci.role IN (0, 2) AND ci.instance > 0 ORDER BY ci.role DESC, ci.instance";
