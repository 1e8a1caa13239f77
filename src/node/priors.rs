//! The schedules that make the studies of those who are expected ready: what was due while nobody ran is done when somebody
//! runs again, and a failure is tried again until it is none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::worker::pause;
use crate::audit::Audit;
use crate::catalog::{Catalog, CatalogError, Preparation};
use crate::config::{Config, Minute, Priors};
use crate::job::priors::{Whom, Wish, prepare};

/// The lease of the process that does it: nobody else does at the same time.
pub(super) const PRIORS_LEASE: &str = "priors";
/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_secs(5);
/// How long a failure is left alone, in milliseconds.
const AGAIN: i64 = 5 * 60 * 1000;

/// Does what is due, until it is stopped.
pub(super) async fn keep(
    catalog: Catalog,
    config: watch::Receiver<Arc<Config>>,
    audit: Audit,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let now = config.borrow().clone();
        for schedule in &now.priors {
            if let Err(error) = Box::pin(look(&catalog, &now, &audit, schedule, &stop)).await {
                warn!(
                    schedule = schedule.key(),
                    error = &error as &dyn std::error::Error,
                    "the catalog does not tell whether priors are due; it is asked again"
                );
            }
        }
        pause(&stop, LOOK).await;
    }
}

async fn look(
    catalog: &Catalog,
    config: &Config,
    audit: &Audit,
    schedule: &Priors,
    stop: &CancellationToken,
) -> Result<(), CatalogError> {
    let last = catalog.last_scheduled(&schedule.key()).await?;
    if stop.is_cancelled() || !is_due(last.as_ref(), schedule.at, &jiff::Zoned::now()) {
        return Ok(());
    }
    let wish = Wish {
        whom: Whom::Worklist { source: schedule.worklist.clone(), days: schedule.days },
        prior_months: schedule.prior_months,
        asker: "schedule".to_owned(),
        schedule: schedule.key(),
    };
    if let Err(error) = prepare(config, catalog, audit, &wish, stop).await {
        warn!(
            schedule = schedule.key(),
            error = &error as &dyn std::error::Error,
            remedy = error.remedy(),
            "priors were not put first; it is tried again within five minutes"
        );
    }
    Ok(())
}

/// Whether its time has come since it was done the last time.
fn is_due(last: Option<&Preparation>, at: Minute, now: &jiff::Zoned) -> bool {
    let Some(last) = last else { return true };
    let milliseconds = now.timestamp().as_millisecond();
    match &last.failure {
        // A clock that was set back delays nothing for longer.
        Some(_) => (milliseconds - last.at).abs() >= AGAIN,
        None => last.at < last_time(at, now),
    }
}

/// When that time of day was the last time.
fn last_time(at: Minute, now: &jiff::Zoned) -> i64 {
    let (hour, minute) = at.clock();
    let on = |day: jiff::civil::Date| day.at(hour, minute, 0, 0).to_zoned(now.time_zone().clone()).ok();
    let today = on(now.date()).filter(|today| today <= now);
    let last = today.or_else(|| on(now.date().yesterday().ok()?));
    last.map_or(i64::MIN, |moment| moment.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(at: &str, failure: Option<&str>) -> Preparation {
        let at = at.parse::<jiff::Zoned>().unwrap().timestamp().as_millisecond();
        let (asker, schedule, named_by, since) = (String::new(), String::new(), String::new(), String::new());
        Preparation { id: 1, at, asker, schedule, named_by, since, lifted: 0, failure: failure.map(str::to_owned) }
    }

    #[test]
    fn it_is_due_once_a_day_and_again_after_a_failure() {
        let at = Minute::parse("18:00").unwrap();
        for (last, now, due) in [
            ("2026-03-27T18:00:05+01:00[Europe/Berlin]", "2026-03-28T17:59:59+01:00[Europe/Berlin]", false),
            ("2026-03-27T18:00:05+01:00[Europe/Berlin]", "2026-03-28T18:00:00+01:00[Europe/Berlin]", true),
            // Not running for days, and over a change of the clocks.
            ("2026-03-26T18:00:05+01:00[Europe/Berlin]", "2026-03-29T07:00:00+02:00[Europe/Berlin]", true),
            ("2026-03-28T18:00:05+01:00[Europe/Berlin]", "2026-03-29T17:59:00+02:00[Europe/Berlin]", false),
            ("2026-03-28T18:00:05+01:00[Europe/Berlin]", "2026-03-29T18:01:00+02:00[Europe/Berlin]", true),
        ] {
            let now: jiff::Zoned = now.parse().unwrap();
            assert_eq!(is_due(Some(&done(last, None)), at, &now), due, "{last} {now}");
        }
        let now: jiff::Zoned = "2026-03-28T18:10:00+01:00[Europe/Berlin]".parse().unwrap();
        let failed = |at| is_due(Some(&done(at, Some("gone"))), Minute::parse("18:00").unwrap(), &now);
        assert!(failed("2026-03-28T18:04:59+01:00[Europe/Berlin]"));
        assert!(!failed("2026-03-28T18:06:00+01:00[Europe/Berlin]"));
        assert!(is_due(None, at, &now));
    }
}
