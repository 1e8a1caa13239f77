//! How a command ends: a few codes, and failures that a person can act on.

use std::error::Error;
use std::process::ExitCode;

use super::remedy;
use crate::catalog::CatalogError;
use crate::config::ConfigError;
use crate::job::report::escape;
use crate::node::NodeError;
use crate::scu::ScuError;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done, and proven.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Finished, but not everything is proven.
    Fallout = 3,
    /// Paused or cancelled.
    Stopped = 4,
    /// Ended by SIGTERM or SIGHUP (128 + 15, as shells say it); the job goes on with the next worker.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do what it was asked: what, why, and what to do.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
    remedy: String,
    /// Each reason with its code, where it is a refusal.
    refusals: Option<serde_json::Value>,
}

impl Failure {
    /// Something went wrong.
    pub(super) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Failure { exit: Exit::Failed, message: message.into(), remedy: remedy.into(), refusals: None }
    }

    /// The caller asked for something that makes no sense.
    pub(super) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Failure { exit: Exit::Usage, message: message.into(), remedy: remedy.into(), refusals: None }
    }

    /// An error with its causes, after what was being done.
    pub(super) fn from_error(doing: &str, error: &(dyn Error + 'static), remedy: impl Into<String>) -> Self {
        let causes = chain(error);
        let message = if doing.is_empty() { causes } else { format!("{doing}: {causes}") };
        Failure::new(message, remedy)
    }

    /// It was refused, for these reasons: a program that asked for JSON is told them as such.
    pub(super) fn with_refusals(self, refusals: serde_json::Value) -> Self {
        Failure { refusals: Some(refusals), ..self }
    }

    /// Says it on standard error; and on standard output, as a document, why something was refused, where results are JSON.
    pub(super) fn tell(self, json: bool) -> Exit {
        if let Some(refusals) = self.refusals.as_ref().filter(|_| json) {
            let code = refusals.pointer("/0/code").cloned().unwrap_or_default();
            let document = serde_json::json!({ "error": self.message, "code": code, "refusals": refusals });
            if let Err(Failure { message, .. }) = super::output::json(&document) {
                super::log::say(&format!("error: {}", escape::terminal_lines(&message)));
            }
        }
        super::log::say(&format!("error: {}", escape::terminal_lines(&self.message)));
        if !self.remedy.is_empty() {
            super::log::say(&format!("  {}", escape::terminal_lines(&self.remedy)));
        }
        self.exit
    }
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Query(error) => Failure::usage(chain(&error), ""),
            error => Failure::from_error("the catalog", &error, remedy::of_catalog(&error)),
        }
    }
}

impl From<ScuError> for Failure {
    fn from(error: ScuError) -> Self {
        Failure::from_error("", &error, error.remedy().unwrap_or_default())
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Failure::from_error("", &error, remedy::of_node(&error))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::usage(error.to_string(), "")
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::from_error("", &error, "")
    }
}

/// An error and its causes in one line, none said twice.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
