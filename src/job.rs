//! What should happen and what has: jobs, their plan, their pulls and their verdicts.
//!
//! A job is rows in the catalog. [`engine::Engine`] runs one in a process; [`plan`] decides what to ask the source for,
//! `planner` asks; workers claim studies newest first, `pull` brings each to a verdict of [`reconcile`]. Everything that
//! must survive this process is written before it is relied on.

mod against_files;
mod against_source;
pub mod approve;
pub mod backoff;
mod beyond;
pub mod control;
pub mod engine;
pub mod folders;
mod get;
pub mod health;
mod import;
pub mod keeper;
mod kept;
mod listing;
mod load;
mod loss;
mod modality;
pub mod plan;
mod planner;
pub mod priors;
pub mod probe;
pub mod progress;
mod pull;
pub mod reconcile;
pub mod report;
mod request;
mod settle;
pub mod slot;
pub mod state;
pub mod verify;
mod work;

pub use against_files::against_files;
pub use against_source::against_source;
pub use beyond::asking;
pub use engine::{Engine, JobError};
pub use keeper::Keeper;

/// The lease of a process that runs a job which needs no receiver: who holds it works on the job.
pub fn run_lease(job: i64) -> String {
    format!("run/{job}")
}

/// A name that no other process has: the process id tells people which one it is, the rest makes it unique over reboots.
pub(crate) fn process_name() -> String {
    format!("{}-{:08x}", std::process::id(), fastrand::u32(..))
}

/// Now, in unix milliseconds.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// An error with all its causes on one line.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
