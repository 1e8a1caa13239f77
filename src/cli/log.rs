//! Standard error: log lines, messages and progress bars that do not get into each other's way.

use std::io::{IsTerminal, Write};
use std::sync::{LazyLock, Mutex, PoisonError};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::Failure;
use crate::job::report::escape;

/// Every progress bar of the process, so that a log line can be written above them.
pub(super) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Starts logging to standard error.
pub(super) fn start(level: &str, json: bool) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Failure::usage(format!("`{level}` is no log level: {error}"), "write error, warn, info, debug or trace")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(AboveBars)
        .with_ansi(std::io::stderr().is_terminal());
    let started = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    started.map_err(|error| Failure::new(format!("logging cannot start: {error}"), ""))
}

/// One message for people.
pub(super) fn say(text: &str) {
    write(&format!("{text}\n"));
}

/// Does something to standard error while nobody else writes or draws there.
pub(super) fn alone<R>(action: impl FnOnce() -> R) -> R {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    action()
}

/// Writes above the bars, which are drawn again with their next step. A standard error that is full, closed or gone is
/// no reason to stop a migration: what cannot be written is dropped. (`MultiProgress::suspend` would panic then.)
fn write(text: &str) {
    alone(|| {
        let _lost = BARS.clear();
        let _lost = std::io::stderr().lock().write_all(text.as_bytes());
    });
}

/// Whether a person looks at standard error.
pub(super) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

struct AboveBars;

/// Collects one event and writes it in one piece.
struct Line(Vec<u8>);

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line(Vec::new())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // What peers say reaches events as fields; the formatter escapes control characters, but not these.
        write(&escape::bidi(&String::from_utf8_lossy(&self.0)));
    }
}
