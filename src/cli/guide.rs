//! `guide`: the manual, inside the program.

use clap::ValueEnum;

use super::{Exit, Failure, output};
use crate::guide::text;

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
    /// Earlier studies of those who come tomorrow, filed first
    Priors,
    /// The hospital's node: who may talk to it, its limits, its health, as a service
    Serve,
    /// The console: jobs and studies in a browser, accounts, and JSON for programs
    Console,
    /// DICOMweb: for web viewers and programs, with tokens
    Dicomweb,
    /// The console's JSON for programs: tokens, requests, errors
    Api,
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
    let value = args.topic.to_possible_value();
    let text = value.and_then(|value| text(value.get_name()));
    let text =
        text.ok_or_else(|| Failure::usage("the manual has no such chapter", "`pacsferry guide --help` lists them"))?;
    // A terminal shows no pictures.
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.starts_with("![")).collect::<Vec<_>>();
    output::print(|out| out.write_all(paragraphs.join("\n\n").as_bytes()))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guide::TOPICS;

    #[test]
    fn the_command_and_the_console_have_the_same_chapters() {
        let value = |topic: &Topic| topic.to_possible_value().unwrap().get_name().to_owned();
        let mut commands: Vec<String> = Topic::value_variants().iter().map(value).collect();
        let mut pages: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
        commands.sort();
        pages.sort_unstable();
        assert_eq!(commands, pages);
    }
}
