//! A job as pictures: which days of the archive are proven, and how fast it goes beside what is allowed. Drawn here, from kept
//! counts, so that a browser has nothing to do but show them.

mod calendar;
mod pace;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::answer::{Refused, document, page};
use super::jobs::OfJob;
use crate::catalog::{DayTotals, Job, Pace, Span};
use crate::job::report::timestamp;
use calendar::{Days, Months};
use pace::Chart;

/// How far back the minutes and the hours go that are drawn, in seconds.
const MINUTES: i64 = 2 * 3600;
const HOURS: i64 = 7 * 24 * 3600;

/// What is to be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Look {
    /// The year whose days are shown; the one at which the job is when it is empty.
    year: String,
    /// `hours` or, otherwise, minutes.
    span: String,
}

/// The pictures of a job.
#[derive(Template)]
#[template(path = "pictures.html", config = "src/web/templates/askama.toml")]
pub(super) struct Pictures {
    id: i64,
    months: Months,
    days: Option<Days>,
    rate: Chart,
    load: Option<Chart>,
    hours: bool,
    year: String,
}

impl Look {
    /// As it stands in an address.
    pub(super) fn query(&self) -> String {
        let pairs = [("year", &self.year), ("span", &self.span)];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }

    fn span(&self) -> Span {
        if self.span == "hours" { Span::Hour } else { Span::Minute }
    }

    /// The year that is asked for, or else that of the newest study that waits, or else the newest.
    async fn year(&self, web: &Web, job: &Job, months: &[(String, DayTotals)]) -> Result<Option<i16>, Refused> {
        let year = |text: &str| text.get(..4).and_then(|year| year.parse::<i16>().ok()).filter(|year| *year > 0);
        if let Some(asked) = year(&self.year) {
            return Ok(Some(asked));
        }
        let front = web.catalog.newest_pending(job.id).await?;
        let newest = || months.iter().filter_map(|(month, _)| year(month)).max();
        Ok(front.as_deref().and_then(year).or_else(newest))
    }

    async fn pace(&self, web: &Web, job: &Job) -> Result<(Vec<Pace>, i64, i64), Refused> {
        let back = if self.span() == Span::Hour { HOURS } else { MINUTES };
        // A job that has ended is shown as it was at its end.
        let end = job.ended.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond()) / 1000;
        let since = end - back;
        let mut pace = web.catalog.pace(job.id, self.span(), since).await?;
        pace.retain(|pace| pace.at <= end);
        Ok((pace, since, end))
    }
}

impl Pictures {
    pub(super) async fn of(web: &Web, job: &Job, look: &Look) -> Result<Pictures, Refused> {
        let months = web.catalog.months(job.id).await?;
        let year = look.year(web, job, &months).await?;
        let days = match year {
            Some(year) => Some(Days::of(year, &web.catalog.days_of_year(job.id, year).await?)),
            None => None,
        };
        let (pace, since, end) = look.pace(web, job).await?;
        Ok(Pictures {
            id: job.id,
            months: Months::of(&months, year),
            days,
            rate: Chart::of_rate(&pace, look.span(), since, end),
            load: job.spec.source.as_ref().map(|_| Chart::of_load(&pace, look.span(), since, end)),
            hours: look.span() == Span::Hour,
            year: year.map_or(String::new(), |year| year.to_string()),
        })
    }
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    OfJob { job, .. }: OfJob,
    Query(look): Query<Look>,
) -> Result<Response, Refused> {
    Ok(page(&Pictures::of(&web, &job, &look).await?))
}

fn totals_json(key: &str, all: &[(String, DayTotals)]) -> Value {
    let one = |(name, t): &(String, DayTotals)| json!({ key: name, "proven": t.proven, "pending": t.pending, "fallout": t.fallout, "left_out": t.apart });
    all.iter().map(one).collect()
}

pub(super) async fn days_json(
    State(web): State<Arc<Web>>,
    OfJob { job, .. }: OfJob,
    Query(look): Query<Look>,
) -> Result<Response, Refused> {
    let months = web.catalog.months(job.id).await?;
    let days = match look.year(&web, &job, &months).await? {
        Some(year) => web.catalog.days_of_year(job.id, year).await?,
        None => Vec::new(),
    };
    Ok(document(json!({ "months": totals_json("month", &months), "days": totals_json("day", &days) })))
}

pub(super) async fn pace_json(
    State(web): State<Arc<Web>>,
    OfJob { job, .. }: OfJob,
    Query(look): Query<Look>,
) -> Result<Response, Refused> {
    let (pace, ..) = look.pace(&web, &job).await?;
    let one = |p: &Pace| {
        json!({
            "at": timestamp(p.at * 1000), "objects": p.objects, "bytes": p.bytes, "associations": p.held,
            "most_associations": p.most, "most_bytes_per_second": p.rate,
        })
    };
    let all: Value = pace.iter().map(one).collect();
    Ok(document(json!({ "seconds": look.span().seconds(), "pace": all })))
}
