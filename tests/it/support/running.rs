//! pacsferry as a child process that runs meanwhile, to be signalled, stopped and killed.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::peers::{Ferry, PATIENCE, until};

/// A command that is under way. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a command.
    pub(crate) fn start(ferry: &Ferry, arguments: &[&str]) -> Self {
        Self::of(ferry, ferry.command(arguments))
    }

    /// Starts a command that was prepared.
    pub(crate) fn of(ferry: &Ferry, mut command: Command) -> Self {
        let log = tempfile::Builder::new().prefix("run-").suffix(".log").tempfile_in(ferry.folder()).unwrap();
        let (file, path) = log.keep().unwrap();
        let second: File = file.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(file).stderr(second).spawn().unwrap();
        Self { child, log: path }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself just now.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Waits for its end; its exit code, `None` when a signal ended it.
    pub(crate) fn ends(&mut self, limit: Duration) -> Option<i32> {
        let log = self.log.clone();
        let child = &mut self.child;
        let what = format!("the end of a command (see {})", log.display());
        let status = until(&what, limit, || child.try_wait().unwrap());
        status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until the node has started a worker, which ends with the ferry.
pub(crate) fn started_worker(ferry: &Ferry) {
    until("a worker", PATIENCE, || ferry.served().contains("started a worker").then_some(()));
}
