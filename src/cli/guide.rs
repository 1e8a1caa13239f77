//! `guide`: the manual, inside the program.

use clap::ValueEnum;

use super::{Exit, Failure, output};
use crate::catalog::{ATTRIBUTES, Attribute, Compared, KeyType};

/// Show the manual: how to migrate, how to import folders, how to serve the hospital, how to move series, what to do about fallout, the conformance statement
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pacsferry guide\n  pacsferry guide import\n  pacsferry guide serve\n  pacsferry guide fallout\n  pacsferry guide config > pacsferry.toml"
)]
pub(super) struct Args {
    /// What about
    #[arg(value_enum, default_value = "migrate")]
    topic: Topic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// A migration from a real PACS, step by step
    Migrate,
    /// Folders of DICOM files: an old PACS's disk, a USB stick, a share
    Import,
    /// Asking the archive what it holds: keys, names, dates, large answers
    Query,
    /// Fetching from the archive: who may, what is sent, what to do when it fails
    Retrieve,
    /// The hospital's node: who may talk to it, its limits, its health, as a service
    Serve,
    /// The console: jobs and studies in a browser, accounts, and JSON for programs
    Console,
    /// Moving a series to another study, and taking it back
    Reallocate,
    /// The audit trail: what is in it, how to read it, how to send it to a collector
    Audit,
    /// TLS, certificates and users: how to make them, and what to give to whom
    Tls,
    /// Every reason why a study is not proven, and what to do
    Fallout,
    /// The annotated example configuration
    Config,
    /// The DICOM conformance statement
    Conformance,
}

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    let text = match args.topic {
        Topic::Migrate => include_str!("../guide/migrate.md").to_owned(),
        Topic::Import => include_str!("../guide/import.md").to_owned(),
        Topic::Query => include_str!("../guide/query.md").to_owned(),
        Topic::Retrieve => include_str!("../guide/retrieve.md").to_owned(),
        Topic::Serve => include_str!("../guide/serve.md").to_owned(),
        Topic::Console => include_str!("../guide/console.md").to_owned(),
        Topic::Reallocate => include_str!("../guide/reallocate.md").to_owned(),
        Topic::Audit => include_str!("../guide/audit.md").to_owned(),
        Topic::Tls => include_str!("../guide/tls.md").to_owned(),
        Topic::Fallout => fallout(),
        Topic::Config => crate::config::EXAMPLE.to_owned(),
        Topic::Conformance => conformance(),
    };
    output::print(|out| out.write_all(text.as_bytes()))?;
    Ok(Exit::Done)
}

/// The introduction, and one section for each reason with the remedy that the report gives too.
pub(super) fn fallout() -> String {
    let mut text = include_str!("../guide/fallout.md").to_owned();
    for reason in crate::catalog::Reason::ALL {
        text.push_str(&format!("\n## {}\n\n{}\n", reason.as_text(), reason.remedy()));
    }
    text
}

/// Where the table of query keys stands.
const QUERY_KEYS: &str = "<!-- query keys -->\n";

/// The conformance statement, with the keys that the code knows.
fn conformance() -> String {
    let mut keys = String::from("| level | attribute | tag | VR | key | matching |\n|---|---|---|---|---|---|\n");
    for attribute in ATTRIBUTES {
        let Attribute { tag, keyword, level, vr, .. } = attribute;
        let key = match attribute.key {
            KeyType::Unique => "unique",
            KeyType::Required => "required",
            KeyType::Optional => "optional",
        };
        let matching = match attribute.compared {
            Compared::Uid => "list of UIDs",
            Compared::Uids => "list of UIDs, several values",
            Compared::Text => "single value, wildcards",
            Compared::Texts => "single value, wildcards, several values",
            Compared::Person => "person name",
            Compared::Date | Compared::Time => "single value, range",
            Compared::Number => "number",
        };
        let vr = vr.escape_ascii();
        keys.push_str(&format!("| {level} | {keyword} | {tag} | {vr} | {key} | {matching} |\n"));
    }
    include_str!("../guide/conformance.md").replace(QUERY_KEYS, &keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conformance_statement_lists_every_key_once() {
        let text = conformance();
        assert!(!text.contains(QUERY_KEYS));
        for attribute in ATTRIBUTES {
            let row = format!("| {} | {} | {} |", attribute.level, attribute.keyword, attribute.tag);
            assert_eq!(text.matches(&row).count(), 1, "{row}");
        }
        assert!(text.contains("| STUDY | StudyInstanceUID | (0020,000D) | UI | unique | list of UIDs |\n"), "{text}");
    }
}
