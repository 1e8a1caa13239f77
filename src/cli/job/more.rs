//! What else an operator wants of a job: a study left out or agreed to, the same once more, less load on its source.

use std::time::Duration;

use serde_json::json;

use crate::catalog::{Catalog, Job, JobState, Slowed};
use crate::cli::{Exit, Failure, Global, migrate, open, output};
use crate::config::units::{format_duration, format_rate};
use crate::config::{Config, Limits, Privilege};
use crate::dicom::StudyInstanceUid;
use crate::job::approve::{self, ApproveError};
use crate::job::control;
use crate::job::report::{state_text, timestamp};
use crate::node;

pub(super) async fn exclude(
    global: &Global,
    catalog: &Catalog,
    job: &Job,
    study: &StudyInstanceUid,
    why: &str,
) -> Result<Exit, Failure> {
    if !catalog.exclude(job.id, study, why).await? {
        return Err(Failure::new(
            format!("job {} has no unfinished study {study}", job.id),
            format!("`{}` lists its studies", global.command(&format!("report {} --json", job.id))),
        ));
    }
    if global.json {
        output::json(&json!({ "job": job.id, "excluded": study.as_str() }))?;
    } else {
        output::print(|out| writeln!(out, "study {study} is left out of job {}", job.id))?;
    }
    Ok(Exit::Done)
}

/// Whoever asks, who has to have the privilege to operate jobs.
fn operator(config: &Config) -> Result<String, Failure> {
    let who = open::operator(config)?;
    if who.may(Privilege::Operate) {
        return Ok(who.name);
    }
    let remedy = "an administrator can give a role that has it, in the [[role]]s of the configuration";
    Err(Failure::new(format!("{} has no privilege `{}`", who.name, Privilege::Operate), remedy))
}

pub(super) async fn approve(
    global: &Global,
    config: &Config,
    catalog: &Catalog,
    job: &Job,
    study: &StudyInstanceUid,
    why: &str,
) -> Result<Exit, Failure> {
    let operator = operator(config)?;
    if why.trim().is_empty() {
        return Err(Failure::usage("an approval says why the study may stay behind", "write it behind --why"));
    }
    let store = node::open(config.clone()).await?.store;
    let approved = approve::approve(catalog, &store, job.id, study, &operator, why.trim()).await;
    let approval = approved.map_err(|error| match error {
        ApproveError::Catalog(error) => error.into(),
        error @ ApproveError::Journal { .. } => {
            Failure::from_error("", &error, "look at the storage folder, then approve again")
        }
        other => Failure::new(other.to_string(), format!("`{}` lists what stays behind", global.command(&failed(job)))),
    })?;
    if global.json {
        let (at, by, why) = (timestamp(approval.at), approval.operator, approval.why);
        output::json(&json!({ "job": job.id, "study": study.as_str(), "at": at, "by": by, "why": why }))?;
    } else {
        output::print(|out| writeln!(out, "{} agrees that study {study} stays behind", approval.operator))?;
    }
    Ok(Exit::Done)
}

fn failed(job: &Job) -> String {
    format!("report {} --failed", job.id)
}

pub(super) async fn repeat(
    global: &Global,
    config: &Config,
    catalog: &Catalog,
    job: &Job,
    detach: bool,
) -> Result<Exit, Failure> {
    if !matches!(job.state, JobState::Finished | JobState::Cancelled) {
        return Err(Failure::usage(
            format!("job {} is {}", job.id, state_text(job.state)),
            format!("go on with it instead: `{}`", global.command(&format!("job {} resume", job.id))),
        ));
    }
    migrate::port_is_free(global, config, catalog, detach).await?;
    let new = catalog.create_job(&job.spec).await?;
    control::set_running(catalog, &new).await?;
    migrate::carry_on(global, config, catalog, new.id, detach).await
}

fn source(job: &Job) -> Result<&str, Failure> {
    let none = || Failure::usage(format!("job {} asks no source for anything", job.id), "pause it instead");
    job.spec.source.as_deref().ok_or_else(none)
}

pub(super) async fn slow(
    global: &Global,
    config: &Config,
    catalog: &Catalog,
    job: &Job,
    limits: Limits,
    how_long: Duration,
) -> Result<Exit, Failure> {
    let (operator, source) = (operator(config)?, source(job)?);
    let milliseconds = i64::try_from(how_long.as_millis()).unwrap_or(i64::MAX / 2);
    let until = jiff::Timestamp::now().as_millisecond().saturating_add(milliseconds);
    let associations = u32::try_from(limits.associations).unwrap_or(u32::MAX);
    catalog.slow(source, Some(Slowed { until, associations, rate: limits.rate, operator })).await?;
    if global.json {
        output::json(&json!({
            "source": source, "associations": associations, "rate": limits.rate, "until": timestamp(until),
        }))?;
    } else {
        let rate = limits.rate.map_or(String::new(), |rate| format!(" and {}", format_rate(rate)));
        let many = output::count(associations.into(), "association", "associations");
        output::print(|out| writeln!(out, "{source} has at most {many}{rate} for {}", format_duration(how_long)))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn free(global: &Global, catalog: &Catalog, job: &Job) -> Result<Exit, Failure> {
    let source = source(job)?;
    catalog.slow(source, None).await?;
    if global.json {
        output::json(&json!({ "source": source, "until": null }))?;
    } else {
        output::print(|out| writeln!(out, "what the configuration says of {source} holds again"))?;
    }
    Ok(Exit::Done)
}
