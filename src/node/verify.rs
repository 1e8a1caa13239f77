//! Verification, composed: the catalog against its files, and against its sources.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{NodeError, process_name};
use crate::catalog::{Job, JobKind};
use crate::config::Config;
use crate::intake::Intake;
use crate::job::verify::{Finding, Looked, Scope};
use crate::job::{Engine, Keeper, against_files, against_source};
use crate::scp::Gates;

/// Reads the files of a scope again and tells what differs from the catalog.
pub async fn verify_files(
    config: Config,
    scope: &Scope,
    stop: &CancellationToken,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Looked, NodeError> {
    let node = super::open(config).await?;
    Ok(against_files(&node.catalog, &node.store, scope, stop, tell).await?)
}

/// Lists studies at their sources once more and tells what differs from the catalog. Each study is asked for at the
/// source of the latest job that has it; the sources' limits hold, together with whatever else runs.
pub async fn verify_source(
    config: Config,
    scope: &Scope,
    stop: &CancellationToken,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Looked, NodeError> {
    let node = super::open(config).await?;
    let owner = process_name();
    let keeper = Keeper::new(node.catalog.clone(), &owner)?;
    let (_sender, config) = watch::channel(Arc::new(node.config.clone()));
    let engine = Engine {
        config,
        catalog: node.catalog.clone(),
        intake: Intake::start(node.store.clone(), node.catalog.clone(), owner.clone())?,
        store: node.store.clone(),
        gates: Gates::default(),
        keeper: keeper.clone(),
        tasks: TaskTracker::new(),
    };
    let ended = CancellationToken::new();
    let keeping = engine.tasks.spawn({
        let ended = ended.clone();
        async move { keeper.run(ended).await }
    });
    let compared = all(&engine, scope, stop, tell).await;
    ended.cancel();
    drop(keeping.await);
    node.catalog.release_owner(&owner).await?;
    engine.intake.close().await?;
    compared
}

async fn all(
    engine: &Engine,
    scope: &Scope,
    stop: &CancellationToken,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Looked, NodeError> {
    let mut looked = Looked::default();
    let jobs = jobs_of(engine, scope).await?;
    for (number, job) in jobs.iter().enumerate() {
        let only = match scope {
            Scope::Study(uid) => Some(uid),
            Scope::Job(_) | Scope::All => None,
        };
        let one = against_source(engine, job.clone(), only, jobs.get(..number).unwrap_or_default(), stop, tell).await?;
        looked.studies += one.studies;
        looked.empty += one.empty;
        looked.objects += one.objects;
        looked.findings += one.findings;
        looked.jobs.extend(one.jobs);
        if only.is_some() && one.studies > 0 {
            break;
        }
    }
    Ok(looked)
}

/// The migration jobs to go through, the latest first.
async fn jobs_of(engine: &Engine, scope: &Scope) -> Result<Vec<Job>, NodeError> {
    let jobs = engine.catalog.jobs().await?.into_iter().filter(|job| job.spec.kind == JobKind::Migration);
    Ok(match scope {
        Scope::Job(id) => jobs.filter(|job| job.id == *id).collect(),
        Scope::Study(_) | Scope::All => jobs.collect(),
    })
}
