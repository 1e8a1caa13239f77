//! What a job would be about, without one: what `migrate --dry-run` and `import --dry-run` share.

use std::io::Write;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::output::thousands;
use super::signals::{Asked, Signals};
use super::{Failure, log};
use crate::catalog::JobSpec;
use crate::config::Config;
use crate::job::report::escape;
use crate::node::{self, DryRun};

/// Lists; `None` when that was interrupted, since what was counted so far would look like an answer.
pub(super) async fn run(config: &Config, spec: &JobSpec, stopping: &str) -> Result<Option<DryRun>, Failure> {
    let mut signals = Signals::new()?;
    let cancel = CancellationToken::new();
    let mut run = Box::pin(node::dry_run(config, spec, cancel.clone()));
    tokio::select! {
        found = &mut run => return Ok(Some(found?)),
        _ = signals.next() => {}
    }
    cancel.cancel();
    log::say(stopping);
    tokio::select! {
        _ = &mut run => {}
        Asked::Pause | Asked::Leave = signals.next() => {}
    }
    Ok(None)
}

/// The years, as scripts read them.
pub(super) fn years(found: &DryRun) -> Value {
    found.by_year.iter().map(|(year, studies)| json!({ "year": year, "studies": studies })).collect()
}

/// The years, and what is to be said beside, for people.
pub(super) fn print_rest(found: &DryRun, out: &mut dyn Write) -> std::io::Result<()> {
    for (year, studies) in &found.by_year {
        writeln!(out, "  {:<8}{:>12}", escape::terminal(year), thousands(*studies))?;
    }
    if !found.not_enumerated.is_empty() {
        writeln!(out, "Notes")?;
    }
    for what in &found.not_enumerated {
        writeln!(out, "  {}", escape::terminal(what))?;
    }
    Ok(())
}
