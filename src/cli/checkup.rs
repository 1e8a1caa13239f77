//! What `check` found, for people and for scripts.

use std::io::Write;

use serde_json::{Value, json};

use super::{Failure, Global, output};
use crate::job::probe::{Probe, Registration, registration_json};
use crate::job::report::escape;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warning,
}

pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) where_: String,
    pub(super) message: String,
    pub(super) remedy: String,
}

#[derive(Default)]
pub(super) struct Checkup {
    /// What is in order, for people.
    good: Vec<String>,
    findings: Vec<Finding>,
    /// What to register at each source.
    pub(super) register: Vec<Registration>,
}

impl Checkup {
    pub(super) fn error(&mut self, where_: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding {
            level: Level::Error,
            where_: where_.into(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    pub(super) fn warn(&mut self, where_: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding {
            level: Level::Warning,
            where_: where_.into(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    pub(super) fn good(&mut self, what: impl Into<String>) {
        self.good.push(what.into());
    }

    /// What came out of the test of a node.
    pub(super) fn take(&mut self, where_: &str, probe: Probe) {
        self.good.extend(probe.good);
        for finding in probe.findings {
            match finding.severe {
                true => self.error(where_, finding.message, finding.remedy),
                false => self.warn(where_, finding.message, finding.remedy),
            }
        }
    }

    pub(super) fn ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.level == Level::Warning)
    }
}

pub(super) fn tell(global: &Global, checkup: &Checkup) -> Result<(), Failure> {
    if global.json {
        return output::json(&document(checkup));
    }
    output::print(|out| {
        for what in &checkup.good {
            writeln!(out, "ok       {}", escape::terminal(what))?;
        }
        for finding in &checkup.findings {
            let level = if finding.level == Level::Error { "error" } else { "warning" };
            writeln!(out, "{level:<8} {}: {}", finding.where_, escape::terminal(&finding.message))?;
            if !finding.remedy.is_empty() {
                writeln!(out, "         -> {}", escape::terminal(&finding.remedy))?;
            }
        }
        for entry in &checkup.register {
            register(out, entry)?;
        }
        Ok(())
    })
}

fn register(out: &mut dyn Write, entry: &Registration) -> std::io::Result<()> {
    let host = entry.host.map_or("this machine's address".to_owned(), |host| host.to_string());
    writeln!(out, "\nWhat must be registered at {}:", entry.source)?;
    if entry.pushes {
        writeln!(out, "  move destination   AE title {}, host {host}, port {}", entry.ae_title, entry.port)?;
    }
    writeln!(out, "  query and retrieve allowed for calling AE title {} from {host}", entry.calling)
}

fn document(checkup: &Checkup) -> Value {
    let finding = |f: &Finding| {
        let level = if f.level == Level::Error { "error" } else { "warning" };
        json!({ "level": level, "where": f.where_, "message": f.message, "remedy": f.remedy })
    };
    json!({
        "ok": checkup.ok(),
        "findings": checkup.findings.iter().map(finding).collect::<Vec<_>>(),
        "good": checkup.good,
        "register": checkup.register.iter().map(registration_json).collect::<Vec<_>>(),
    })
}
