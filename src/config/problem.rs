//! What is wrong with a configuration, said so that a person can mend it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line and the key: `line 12, source.oldpacs.rate`.
    pub where_: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Every mistake of one file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    path: Option<PathBuf>,
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(path: Option<&Path>, problems: Vec<Problem>) -> Self {
        ConfigError { path: path.map(Path::to_path_buf), problems }
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let problem = Problem {
            where_: path.display().to_string(),
            message: format!("the configuration file cannot be read: {error}"),
            remedy:
                "name an existing file with --config or PACSFERRY_CONFIG; `pacsferry guide config` prints an example"
                    .into(),
        };
        ConfigError { path: Some(path.to_path_buf()), problems: vec![problem] }
    }

    /// Every mistake, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.where_, self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n  {}", self.remedy) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "the configuration {} is not usable:", path.display())?,
            None => write!(f, "the configuration is not usable:")?,
        }
        for problem in &self.problems {
            write!(f, "\n{problem}")?;
        }
        Ok(())
    }
}
