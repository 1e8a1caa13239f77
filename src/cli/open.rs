//! What most commands begin with: the configuration, the catalog, and the job that is meant.

use std::str::FromStr;

use super::{Failure, Global};
use crate::catalog::{Catalog, Job};
use crate::config::{Config, Operator, Privilege, Source};
use crate::content::Refusal;

/// A job by its number, or the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobRef {
    /// This one.
    Number(i64),
    /// The one that was made last.
    Last,
}

impl FromStr for JobRef {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(JobRef::Last),
            number => number
                .parse()
                .ok()
                .filter(|n| *n > 0)
                .map(JobRef::Number)
                .ok_or("write the number of a job, or `last`".into()),
        }
    }
}

/// The catalog, which must exist.
pub(super) fn catalog(global: &Global, config: &Config) -> Result<Catalog, Failure> {
    catalog_if_any(config)?.ok_or_else(|| {
        Failure::new(
            format!(
                "there is no catalog at {} yet: nothing was ever done with this configuration",
                config.storage.catalog.display()
            ),
            format!(
                "begin with `{}`, `{}` or `{}`; if you expected one, look at --config and at the current directory",
                global.command("migrate SOURCE"),
                global.command("import FOLDER"),
                global.command("serve")
            ),
        )
    })
}

/// The catalog, if there is one; none is made.
pub(super) fn catalog_if_any(config: &Config) -> Result<Option<Catalog>, Failure> {
    let path = &config.storage.catalog;
    match path.try_exists() {
        Ok(true) => Ok(Some(Catalog::open(path)?)),
        Ok(false) => Ok(None),
        Err(error) => Err(Failure::from_error(
            &format!("the catalog {} cannot be looked at", path.display()),
            &error,
            "check the permissions of its folder",
        )),
    }
}

/// Whoever runs jobs must be let. Where there is no catalog yet and nobody has a role, it will be theirs who make it.
pub(super) fn operate(config: &Config) -> Result<(), Failure> {
    let who = operator(config)?;
    let first = config.roles.is_empty() && !config.storage.catalog.exists();
    match first || who.may(Privilege::Operate) {
        true => Ok(()),
        false => {
            Err(vec![Refusal::Privilege { operator: who.name, needs: Privilege::Operate, doing: "run jobs" }].into())
        }
    }
}

/// Who sits here.
pub(super) fn operator(config: &Config) -> Result<Operator, Failure> {
    let remedy = "see that the directory of users answers, or call from another account";
    Operator::local(config).map_err(|error| Failure::from_error("", &error, remedy))
}

/// The job that is meant.
pub(super) async fn job(global: &Global, catalog: &Catalog, wanted: JobRef) -> Result<Job, Failure> {
    let found = match wanted {
        JobRef::Number(id) => catalog.job(id).await?,
        JobRef::Last => catalog.last_job().await?,
    };
    found.ok_or_else(|| {
        let what = match wanted {
            JobRef::Number(id) => format!("there is no job {id}"),
            JobRef::Last => "there is no job yet".to_owned(),
        };
        Failure::usage(what, format!("`{}` lists the jobs", global.command("jobs")))
    })
}

/// The configured source of that name.
pub(super) fn source<'c>(config: &'c Config, name: &str) -> Result<&'c Source, Failure> {
    config.source(name).ok_or_else(|| {
        let names: Vec<&str> = config.sources.iter().map(|s| s.name.as_str()).collect();
        let file =
            config.path.as_deref().map_or("the defaults, which have no source".to_owned(), |p| p.display().to_string());
        let near = names
            .iter()
            .map(|known| (strsim::jaro_winkler(name, known), known))
            .filter(|(score, _)| *score > 0.75)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let remedy = match (near, names.is_empty()) {
            (Some((_, known)), _) => format!("did you mean `{known}`?"),
            (None, false) => format!("the sources in {file} are: {}", names.join(", ")),
            (None, true) => {
                format!("add a [[source]] to the configuration ({file}); `pacsferry guide config` shows one")
            }
        };
        Failure::usage(format!("there is no source `{name}`"), remedy)
    })
}
