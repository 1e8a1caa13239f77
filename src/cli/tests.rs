//! The command line as clap sees it, and the texts that must not drift apart.

use clap::{CommandFactory, Parser};

use super::Cli;
use crate::catalog::Reason;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples_that_parse() {
    for command in Cli::command().get_subcommands() {
        let help =
            command.get_after_help().unwrap_or_else(|| panic!("{} has no examples", command.get_name())).to_string();
        let mut examples = 0;
        for line in help.lines().filter_map(|line| line.trim().strip_prefix("pacsferry ")) {
            // What follows two spaces explains; what follows a pipe or a redirection is the shell's.
            let command = line.split("   ").next().unwrap().split(['|', '>']).next().unwrap();
            let words = command.replace("$(date +%F)", "now");
            let words: Vec<String> = split(&words);
            let parsed = Cli::try_parse_from(std::iter::once("pacsferry".to_owned()).chain(words));
            assert!(parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
            examples += 1;
        }
        assert!(examples > 0, "{} has no examples", command.get_name());
    }
}

/// Words as a shell reads them, as far as examples need it.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    for c in line.trim().chars().chain([' ']) {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            (' ', None) => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => word.push(c),
        }
    }
    words
}

#[test]
fn the_readme_explains_every_reason_as_the_report_does() {
    let rows: String =
        Reason::ALL.iter().map(|reason| format!("| {} | {} |\n", reason.as_text(), reason.remedy())).collect();
    let table = format!("<!-- reasons -->\n\n| reason | what to do |\n|---|---|\n{rows}\n<!-- /reasons -->");
    assert!(include_str!("../../README.md").contains(&table), "README.md must contain\n{table}");
}

#[test]
fn the_manual_names_only_commands_that_exist() {
    let guides = [
        include_str!("../guide/migrate.md"),
        include_str!("../guide/fallout.md"),
        include_str!("../guide/reallocate.md"),
        include_str!("../../README.md"),
    ];
    for line in guides.iter().flat_map(|text| text.lines()) {
        let Some(command) = line.strip_prefix("    pacsferry ") else {
            continue;
        };
        let words = split(command.split(['#', '|', '>']).next().unwrap());
        let parsed = Cli::try_parse_from(std::iter::once("pacsferry".to_owned()).chain(words));
        assert!(parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
    }
}
