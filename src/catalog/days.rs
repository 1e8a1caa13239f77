//! How far a job is, day by day and reason by reason: from kept counts, whatever the number of studies.

use rusqlite::{Row, params};

use super::codes::unsigned;
use super::{Catalog, CatalogError, OrderKey, Reason};
use crate::dicom::Date;

/// The studies of a day, a month or a year, by what has become of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DayTotals {
    /// Still to be done.
    pub pending: u64,
    /// Proven.
    pub proven: u64,
    /// Partial and failed.
    pub fallout: u64,
    /// Excluded and cancelled.
    pub apart: u64,
}

impl DayTotals {
    /// With those of another span of time.
    pub fn add(&mut self, other: &DayTotals) {
        self.pending += other.pending;
        self.proven += other.proven;
        self.fallout += other.fallout;
        self.apart += other.apart;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.pending + self.proven + self.fallout + self.apart
    }
}

pub(super) const DAYS: &str = "SELECT day, pending, proven, fallout, apart FROM job_days
    WHERE job = ?1 AND day >= ?2 AND day <= ?3 ORDER BY day";
/// Grouped in the order of the key: nothing is sorted.
pub(super) const MONTHS: &str = "SELECT substr(day, 1, 6), sum(pending), sum(proven), sum(fallout), sum(apart)
    FROM job_days WHERE job = ?1 GROUP BY substr(day, 1, 6)";
pub(super) const REASONS: &str = "SELECT reason, items FROM job_reasons WHERE job = ?1 AND items > 0";

fn totals(row: &Row<'_>) -> rusqlite::Result<(String, DayTotals)> {
    let number = |column| row.get(column).map(unsigned);
    let totals = DayTotals { pending: number(1)?, proven: number(2)?, fallout: number(3)?, apart: number(4)? };
    Ok((row.get(0)?, totals))
}

impl OrderKey {
    /// The place before the studies of this day; those of later days are behind us.
    pub fn before(day: Date) -> OrderKey {
        let day: i64 = day.to_string().parse().unwrap_or(0);
        OrderKey { rank: -(day * 10_000_000_000 + 9_999_999_999) - 1, study_uid: String::new() }
    }

    /// As it stands in an address.
    pub fn text(&self) -> String {
        format!("{}~{}", self.rank, self.study_uid)
    }

    /// Reads what [`OrderKey::text`] wrote.
    pub fn parse(text: &str) -> Option<OrderKey> {
        let (rank, uid) = text.split_once('~')?;
        Some(OrderKey { rank: rank.parse().ok()?, study_uid: uid.to_owned() })
    }
}

impl Catalog {
    /// The days (YYYYMMDD) of a year that have studies.
    pub async fn days_of_year(&self, job: i64, year: i16) -> Result<Vec<(String, DayTotals)>, CatalogError> {
        self.read(move |c| {
            let (first, last) = (format!("{year:04}0101"), format!("{year:04}1231"));
            let mut statement = c.prepare_cached(DAYS)?;
            Ok(statement.query_map(params![job, first, last], totals)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The months (YYYYMM) that have studies, in some order; an empty one stands for studies without a date.
    pub async fn months(&self, job: i64) -> Result<Vec<(String, DayTotals)>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(MONTHS)?;
            Ok(statement.query_map([job], totals)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// How many studies are partial, failed or excluded for which reason, the most frequent first.
    pub async fn fallout_reasons(&self, job: i64) -> Result<Vec<(Reason, u64)>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(REASONS)?;
            let reason = |row: &Row<'_>| Ok((row.get::<_, Reason>(0)?, unsigned(row.get(1)?)));
            let mut reasons: Vec<_> = statement.query_map([job], reason)?.collect::<Result<_, _>>()?;
            reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), reason.as_text()));
            Ok(reasons)
        })
        .await
    }
}
