//! What a job was asked for, and how that is stored: two jobs with the same text are the same job.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::JobKind;
use super::codes::{millis, unsigned};
use crate::db::DbError;
use crate::dicom::{Date, StudyInstanceUid};

/// What was asked for. Two jobs with the same specification are the same job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// Migration or import.
    pub kind: JobKind,
    /// The name of the source.
    pub source: Option<String>,
    /// The earliest study date.
    pub from: Option<Date>,
    /// The latest study date.
    pub to: Option<Date>,
    /// These studies only, when there are any.
    pub studies: Vec<StudyInstanceUid>,
    /// Studies with one of these modalities only, when there are any.
    pub modalities: Vec<String>,
    /// Ask again for the newest days at this interval.
    pub follow: Option<Duration>,
    /// What only an import is asked for.
    pub import: Option<ImportSpec>,
}

/// What an import is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSpec {
    /// The folders, absolute and without links.
    pub folders: Vec<PathBuf>,
    /// What becomes of the files.
    pub how: ImportHow,
    /// Whether linked files are read whole for their digest.
    pub hash: bool,
    /// The first day on which a file came into its folder.
    pub received_from: Option<Date>,
    /// The last such day.
    pub received_to: Option<Date>,
}

/// What becomes of the files of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportHow {
    /// They are copied into the storage folder.
    Copy,
    /// They stay where they are; what lies in archives is copied.
    Link,
    /// They stay where they are; what lies in archives is refused.
    LinkOnly,
    /// They lie in the storage folder already, and get their entries.
    Own,
}

impl ImportHow {
    /// The word that is stored and reported.
    pub fn as_text(self) -> &'static str {
        match self {
            ImportHow::Copy => "copy",
            ImportHow::Link => "link",
            ImportHow::LinkOnly => "link-only",
            ImportHow::Own => "own",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [ImportHow::Copy, ImportHow::Link, ImportHow::LinkOnly, ImportHow::Own]
            .into_iter()
            .find(|how| how.as_text() == text)
    }
}

/// The specification as it is stored, which is also how two are compared: the order of lists is without meaning.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct StoredSpec {
    kind: String,
    source: Option<String>,
    from: Option<String>,
    to: Option<String>,
    studies: Vec<String>,
    modalities: Vec<String>,
    follow_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    import: Option<StoredImport>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct StoredImport {
    folders: Vec<String>,
    how: String,
    hash: bool,
    received_from: Option<String>,
    received_to: Option<String>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl StoredSpec {
    pub(super) fn text_of(spec: &JobSpec) -> Result<String, DbError> {
        let stored = StoredSpec {
            kind: spec.kind.as_text().to_owned(),
            source: spec.source.clone(),
            from: spec.from.map(|day| day.to_string()),
            to: spec.to.map(|day| day.to_string()),
            studies: sorted(spec.studies.iter().map(|uid| uid.as_str().to_owned()).collect()),
            modalities: sorted(spec.modalities.clone()),
            follow_ms: spec.follow.map(|every| unsigned(millis(every))),
            import: spec.import.as_ref().map(StoredImport::of),
        };
        serde_json::to_string(&stored).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()).into())
    }

    pub(super) fn read(text: &str) -> Result<JobSpec, rusqlite::Error> {
        let failed = |e: Failure| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e);
        let stored: StoredSpec = serde_json::from_str(text).map_err(|e| failed(e.into()))?;
        Ok(JobSpec {
            kind: if stored.kind == JobKind::Import.as_text() { JobKind::Import } else { JobKind::Migration },
            source: stored.source,
            from: day(stored.from).map_err(failed)?,
            to: day(stored.to).map_err(failed)?,
            studies: stored.studies.iter().map(|uid| StudyInstanceUid::new(uid)).collect(),
            modalities: stored.modalities,
            follow: stored.follow_ms.map(Duration::from_millis),
            import: stored.import.map(StoredImport::read).transpose().map_err(failed)?,
        })
    }
}

impl StoredImport {
    fn of(import: &ImportSpec) -> Self {
        StoredImport {
            folders: sorted(import.folders.iter().map(|path| path_text(path)).collect()),
            how: import.how.as_text().to_owned(),
            hash: import.hash,
            received_from: import.received_from.map(|day| day.to_string()),
            received_to: import.received_to.map(|day| day.to_string()),
        }
    }

    fn read(self) -> Result<ImportSpec, Failure> {
        Ok(ImportSpec {
            folders: self.folders.iter().map(|text| path_of(text)).collect::<Result<_, _>>()?,
            how: ImportHow::parse(&self.how).ok_or_else(|| format!("`{}` is no way to import", self.how))?,
            hash: self.hash,
            received_from: day(self.received_from)?,
            received_to: day(self.received_to)?,
        })
    }
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort_unstable();
    list.dedup();
    list
}

fn day(text: Option<String>) -> Result<Option<Date>, Failure> {
    Ok(text.map(|text| Date::parse(&text)).transpose()?)
}

/// A path as text: as it is, or, where it is no UTF-8, its bytes in hexadecimal behind a NUL, which no path holds.
fn path_text(path: &Path) -> String {
    path.to_str().map_or_else(
        || {
            let hex: String = path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\0{hex}")
        },
        str::to_owned,
    )
}

fn path_of(text: &str) -> Result<PathBuf, Failure> {
    let Some(hex) = text.strip_prefix('\0') else { return Ok(text.into()) };
    let pairs = hex.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    Ok(OsString::from_vec(pairs.collect::<Result<Vec<u8>, Failure>>()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_read_back_with_names_that_are_no_text() {
        let odd = PathBuf::from(OsString::from_vec(b"/data/\xFFbad".to_vec()));
        let spec = JobSpec {
            kind: JobKind::Import,
            source: None,
            from: Date::parse("20200101").ok(),
            to: None,
            studies: vec![],
            modalities: vec![],
            follow: None,
            import: Some(ImportSpec {
                folders: vec!["/data/a".into(), odd],
                how: ImportHow::LinkOnly,
                hash: true,
                received_from: None,
                received_to: Date::parse("20210101").ok(),
            }),
        };
        let read = StoredSpec::read(&StoredSpec::text_of(&spec).unwrap()).unwrap();
        let folders = |spec: &JobSpec| {
            let mut folders = spec.import.clone().unwrap().folders;
            folders.sort();
            folders
        };
        assert_eq!(folders(&read), folders(&spec));
        assert_eq!((read.from, read.import.unwrap().how), (spec.from, ImportHow::LinkOnly));
    }

    #[test]
    fn a_migration_is_stored_as_ever() {
        let text = r#"{"kind":"migration","source":"pacs","from":null,"to":null,"studies":[],"modalities":[],"follow_ms":null}"#;
        let spec = StoredSpec::read(text).unwrap();
        assert_eq!((&spec.import, StoredSpec::text_of(&spec).unwrap().as_str()), (&None, text));
    }
}
