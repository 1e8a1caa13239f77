//! What the commands that correct something have in common: the engine, and how it tells what came of it.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::output::count;
use super::{Exit, Failure, Global, log, open, output, remedy, sheet};
use crate::audit::Audit;
use crate::config::Operator;
use crate::content::{Content, ContentError, Refusal, Request};
use crate::intake::Intake;
use crate::node;
use crate::outlet::Outlet;

/// The engine, and who asks.
pub(super) struct Desk {
    pub(super) content: Content,
    pub(super) who: Operator,
    recording: JoinHandle<()>,
}

impl Desk {
    /// Opens the archive for one command.
    pub(super) async fn open(global: &Global, command: &str) -> Result<Desk, Failure> {
        let config = global.load()?;
        drop(open::catalog(global, &config)?);
        let who = open::operator(&config)?;
        let node = node::open(config).await?;
        let config = Arc::new(node.config.clone());
        let (_, watched) = watch::channel(Arc::clone(&config));
        let (audit, recording) = Audit::new(node.catalog.clone(), watched, command, CancellationToken::new());
        let intake = Intake::start(node.store.clone(), node.catalog.clone(), node::process_name());
        let intake = intake.map_err(node::NodeError::from)?;
        let outlet = Outlet::new(node.store.clone());
        let content = Content { catalog: node.catalog, store: node.store, intake, outlet, audit, config };
        // What a process left that was killed over it stands in nobody's way.
        content.remove_leftovers().await?;
        Ok(Desk { content, who, recording: tokio::spawn(recording) })
    }

    /// Lets go of what it holds.
    pub(super) async fn close(self) -> Result<(), Failure> {
        let Desk { content: Content { intake, audit, .. }, recording, .. } = self;
        let closed = intake.close().await;
        drop(audit);
        // It ends when nobody can tell it anything any more.
        if let Err(error) = recording.await {
            return Err(Failure::from_error("the audit trail broke down", &error, ""));
        }
        Ok(closed.map_err(node::NodeError::from)?)
    }
}

/// Plans an operation, and does it unless it is only to be shown.
pub(super) async fn operate(global: &Global, request: Request, dry_run: bool) -> Result<Exit, Failure> {
    let desk = Desk::open(global, request.kind().as_str()).await?;
    let done = if dry_run { show(global, &desk, &request).await } else { carry_out(global, &desk, &request).await };
    desk.close().await?;
    done
}

async fn show(global: &Global, desk: &Desk, request: &Request) -> Result<Exit, Failure> {
    let plan = desk.content.plan(request, &desk.who).await?;
    match global.json {
        true => {
            let mut document = serde_json::to_value(&plan).map_err(std::io::Error::from)?;
            if let Some(fields) = document.as_object_mut() {
                fields.insert("sheet".into(), plan.seal().into());
            }
            output::json(&document)?;
        }
        false => output::print(|out| {
            sheet::print(&plan, out)?;
            writeln!(out, "\nto have exactly this done, and nothing if it changes: --seen {}", plan.seal())
        })?,
    }
    Ok(if plan.may_be_done() { Exit::Done } else { Exit::Failed })
}

async fn carry_out(global: &Global, desk: &Desk, request: &Request) -> Result<Exit, Failure> {
    let (plan, done) = desk.content.perform(request, &desk.who).await?;
    if global.json {
        let sheet = serde_json::to_value(&plan).map_err(std::io::Error::from)?;
        output::json(&json!({ "correction": done.operation, "objects": done.objects, "sheet": sheet }))?;
        return Ok(Exit::Done);
    }
    for warning in &plan.warnings {
        log::say(&format!("note: {}", warning.message()));
    }
    output::print(|out| {
        writeln!(
            out,
            "operation {}: {} of study {} {} in study {} now; `{}` takes it back",
            done.operation,
            count(done.objects, "object", "objects"),
            plan.source.uid,
            shows(done.objects),
            plan.destination.uid,
            global.command(&format!("undo {}", done.operation))
        )
    })?;
    Ok(Exit::Done)
}

/// What so many objects do.
pub(super) fn shows(objects: u64) -> &'static str {
    if objects == 1 { "shows" } else { "show" }
}

/// Prints what a small operation has done.
pub(super) fn tell(global: &Global, document: &Value, words: &str) -> Result<Exit, Failure> {
    match global.json {
        true => output::json(document)?,
        false => output::print(|out| writeln!(out, "{words}"))?,
    }
    Ok(Exit::Done)
}

impl From<ContentError> for Failure {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Refused(refusals) => refused(&refusals),
            ContentError::Catalog(error) => error.into(),
            ContentError::Store(error) => Failure::from_error("", &error, remedy::of_store(&error)),
            error => Failure::from_error(
                "",
                &error,
                "`pacsferry verify --all --files` finds every file that is not as it was filed",
            ),
        }
    }
}

impl From<Vec<Refusal>> for Failure {
    fn from(refusals: Vec<Refusal>) -> Self {
        refused(&refusals)
    }
}

/// Every reason with its remedy. What names something that is not there is a mistake of the command line.
fn refused(refusals: &[Refusal]) -> Failure {
    let mistaken = |refusal: &Refusal| {
        matches!(
            refusal,
            Refusal::Unknown { .. }
                | Refusal::SameStudy { .. }
                | Refusal::NewStudy { .. }
                | Refusal::NoSuchOperation(_)
                | Refusal::NoSuchQuarantined(_)
        )
    };
    let lines: Vec<String> = refusals.iter().map(|refusal| format!("{refusal}\n    {}", refusal.remedy())).collect();
    let (message, remedy) = match refusals {
        [one] => (one.to_string(), one.remedy().to_owned()),
        _ => (format!("it is refused\n  {}", lines.join("\n  ")), String::new()),
    };
    let failure =
        if refusals.iter().all(mistaken) { Failure::usage(message, remedy) } else { Failure::new(message, remedy) };
    failure.with_refusals(json!(refusals))
}
