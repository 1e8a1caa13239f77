//! `passcode`: the hash of a passcode, for the configuration.

use std::io::{BufRead, IsTerminal, Read};

use serde_json::json;

use super::{Exit, Failure, Global, log, output};
use crate::config::{LONGEST_PASSCODE, PasscodeHash};

/// Make the `passcode_hash` of a peer's user
///
/// Reads the passcode from standard input, its first line, and prints what to write into the [[peer]]. The passcode
/// itself is kept nowhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pacsferry passcode             type it, or let standard input be a file")]
pub(super) struct Args {}

pub(super) fn run(global: &Global, _args: Args) -> Result<Exit, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        log::say("type the passcode (it is shown as you type), then Enter");
    }
    let mut line = Vec::new();
    // One byte more than allowed, and the end of the line.
    stdin.lock().take(LONGEST_PASSCODE as u64 + 2).read_until(b'\n', &mut line)?;
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    if line.is_empty() || line.len() > LONGEST_PASSCODE {
        return Err(Failure::usage(
            "there is no passcode on standard input, or it is too long",
            format!("give it one line of {LONGEST_PASSCODE} bytes at most"),
        ));
    }
    let hash = PasscodeHash::of(&line).map_err(|error| Failure::new(error, "try again"))?.text();
    if global.json {
        output::json(&json!({ "passcode_hash": hash }))?;
    } else {
        output::print(|out| writeln!(out, "passcode_hash = \"{hash}\""))?;
    }
    Ok(Exit::Done)
}
