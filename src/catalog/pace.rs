//! What arrived when, and how much was asked of a source meanwhile: by the second for the pace of now, by the minute and by
//! the hour for the picture of a job.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::codes::{now, signed, unsigned};
use super::totals::REMEMBERED_SECONDS;
use super::{Catalog, CatalogError, source_id};
use crate::db::DbError;

/// The spans of time that are kept, in seconds, and for how long: minutes for six hours and hours for a year.
const SPANS: [(i64, i64); 2] = [(60, 6 * 3600), (3600, 366 * 24 * 3600)];

/// How finely a [`Pace`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// By the minute, some hours back.
    Minute,
    /// By the hour, a year back.
    Hour,
}

/// One minute or hour of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Its beginning, in unix seconds.
    pub at: i64,
    /// Objects that arrived.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most associations that were open to the source at one time.
    pub held: u64,
    /// The most that were allowed.
    pub most: Option<u64>,
    /// The bytes per second that were allowed.
    pub rate: Option<u64>,
}

/// Tighter limits for a source, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slowed {
    /// Until when, in unix milliseconds.
    pub until: i64,
    /// The most associations.
    pub associations: u32,
    /// The most bytes per second.
    pub rate: Option<u64>,
    /// Who asked for it.
    pub operator: String,
}

impl Span {
    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Span::Minute => 60,
            Span::Hour => 3600,
        }
    }
}

/// Objects arrived for a job.
pub(super) fn arrived(tx: &Transaction<'_>, job: i64, now: i64, objects: i64, bytes: i64) -> Result<(), DbError> {
    let second = now / 1000;
    tx.prepare_cached(
        "INSERT INTO throughput (job, second, objects, bytes) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET objects = objects + ?3, bytes = bytes + ?4",
    )?
    .execute([job, second, objects, bytes])?;
    tx.prepare_cached("DELETE FROM throughput WHERE job = ?1 AND second < ?2")?
        .execute([job, second - REMEMBERED_SECONDS])?;
    for (span, _) in SPANS {
        tx.prepare_cached(
            "INSERT INTO pace (job, span, at, objects, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET objects = objects + ?4, bytes = bytes + ?5",
        )?
        .execute([job, span, second - second % span, objects, bytes])?;
    }
    Ok(())
}

pub(super) const PACE: &str = "SELECT at, objects, bytes, held, most, rate FROM pace
    WHERE job = ?1 AND span = ?2 AND at > ?3 ORDER BY at LIMIT 10000";
pub(super) const FORGET_PACE: &str = "DELETE FROM pace WHERE job = ?1 AND span = ?2 AND at < ?3";
pub(super) const SLOWED: &str = "SELECT w.until, w.associations, w.rate, w.operator
    FROM sources s CROSS JOIN slowed w ON w.source = s.id WHERE s.name = ?1 AND w.until > ?2";

pub(super) const LAST_SENT: &str = "SELECT max(p.at) FROM sources s CROSS JOIN jobs j ON j.source = s.id
    CROSS JOIN pace p ON p.job = j.id AND p.span = 3600 AND p.objects > 0 WHERE s.name = ?1";

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(unsigned))
}

impl Catalog {
    /// Notes how many associations are open to the source of a job now, and the limits that hold.
    pub async fn note_load(&self, job: i64, held: usize, most: usize, rate: Option<u64>) -> Result<(), CatalogError> {
        let (held, most) = (i64::try_from(held).unwrap_or(i64::MAX), i64::try_from(most).unwrap_or(i64::MAX));
        self.write(move |tx| {
            let second = now() / 1000;
            for (span, kept) in SPANS {
                tx.prepare_cached(
                    "INSERT INTO pace (job, span, at, held, most, rate) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET held = max(held, ?4), most = ?5, rate = ?6",
                )?
                .execute(params![job, span, second - second % span, held, most, rate.map(signed)])?;
                tx.prepare_cached(FORGET_PACE)?.execute([job, span, second - kept])?;
            }
            Ok(())
        })
        .await
    }

    /// The minutes or hours of a job since a time in unix seconds, the earliest first; those in which nothing happened are
    /// left out.
    pub async fn pace(&self, job: i64, span: Span, since: i64) -> Result<Vec<Pace>, CatalogError> {
        self.read(move |c| {
            let pace = |row: &Row<'_>| {
                Ok(Pace {
                    at: row.get(0)?,
                    objects: unsigned(row.get(1)?),
                    bytes: unsigned(row.get(2)?),
                    held: unsigned(row.get(3)?),
                    most: number(row, 4)?,
                    rate: number(row, 5)?,
                })
            };
            let mut statement = c.prepare_cached(PACE)?;
            Ok(statement.query_map(params![job, span.seconds(), since], pace)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The hour in which objects of a job came from a source last, in unix milliseconds.
    pub async fn last_sent(&self, source: &str) -> Result<Option<i64>, CatalogError> {
        let source = source.to_owned();
        self.read(move |c| {
            let last: Option<i64> = c.prepare_cached(LAST_SENT)?.query_row([source], |row| row.get(0))?;
            Ok(last.map(|second| second * 1000))
        })
        .await
    }

    /// The tighter limits that hold for a source now.
    pub async fn slowed(&self, source: &str) -> Result<Option<Slowed>, CatalogError> {
        let source = source.to_owned();
        self.read(move |c| {
            let slowed = |row: &Row<'_>| {
                Ok(Slowed {
                    until: row.get(0)?,
                    associations: row.get(1)?,
                    rate: number(row, 2)?,
                    operator: row.get(3)?,
                })
            };
            Ok(c.prepare_cached(SLOWED)?.query_row(params![source, now()], slowed).optional()?)
        })
        .await
    }

    /// Tightens the limits of a source for a while, or sets them free again.
    pub async fn slow(&self, source: &str, slowed: Option<Slowed>) -> Result<(), CatalogError> {
        let source = source.to_owned();
        self.write(move |tx| {
            let id = source_id(tx, Some(&source))?;
            match &slowed {
                None => tx.prepare_cached("DELETE FROM slowed WHERE source = ?1")?.execute([id])?,
                Some(slowed) => tx
                    .prepare_cached(
                        "INSERT OR REPLACE INTO slowed (source, until, associations, rate, operator)
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![
                        id,
                        slowed.until,
                        slowed.associations,
                        slowed.rate.map(signed),
                        slowed.operator
                    ])?,
            };
            Ok(())
        })
        .await
    }
}
