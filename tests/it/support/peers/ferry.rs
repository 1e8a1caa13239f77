//! pacsferry as a user runs it: a configuration file in a temporary folder and the built program.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Server, data_set_digest, finish, free_port, listens, text};

/// How long a migration of the samples may take on a busy machine.
const MIGRATION: Duration = Duration::from_secs(180);

/// One `[[source]]` of the configuration.
pub(crate) struct Source<'a> {
    /// Its name on the command line.
    pub(crate) name: &'a str,
    /// Its AE title.
    pub(crate) ae_title: &'a str,
    /// Its DICOM port on loopback.
    pub(crate) port: u16,
    /// Further keys, as TOML lines.
    pub(crate) keys: &'a str,
}

/// A pacsferry of its own: folder, catalog, receiver.
pub(crate) struct Ferry {
    folder: tempfile::TempDir,
    config: PathBuf,
    storage: PathBuf,
    minimum_free: &'static str,
    /// The port of its receiver, which sources must know.
    pub(crate) receiver: u16,
    /// The port of its node, which the hospital talks to.
    pub(crate) node: u16,
    /// The port of its metrics.
    pub(crate) web: u16,
}

/// What a finished command said.
pub(crate) struct Finished {
    /// Its exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Drop for Ferry {
    /// A worker that a node has started outlives it, but not the test.
    fn drop(&mut self) {
        self.kill();
    }
}

impl Ferry {
    /// The AE title of its receiver.
    pub(crate) const AE_TITLE: &'static str = "FERRY_RX";

    /// The AE title of its node.
    pub(crate) const NODE: &'static str = "PACSFERRY";

    /// Chooses a free port for the receiver, so that sources can be told of it before they start.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("pacsferry.toml");
        let storage = folder.path().join("storage");
        Self {
            folder,
            config,
            storage,
            minimum_free: "64 MiB",
            receiver: free_port(),
            node: free_port(),
            web: free_port(),
        }
    }

    /// Another storage folder, of which so much is kept free.
    pub(crate) fn store_in(&mut self, storage: &Path, minimum_free: &'static str) {
        self.storage = storage.to_owned();
        self.minimum_free = minimum_free;
    }

    /// Writes the configuration, with these sources.
    pub(crate) fn configure(&self, sources: &[Source<'_>]) {
        self.configure_with(sources, "");
    }

    /// Writes the configuration, with these sources and what else is to be there: further keys of `[node]` first, then
    /// whole tables.
    pub(crate) fn configure_with(&self, sources: &[Source<'_>], more: &str) {
        let root = self.folder.path().display();
        let mut toml = format!(
            "[storage]\nfolder = \"{}\"\ncatalog = \"sqlite:{root}/catalog.db\"\nminimum_free = \"{}\"\n\
             [receiver]\nae_title = \"{}\"\nlisten = \"127.0.0.1:{}\"\n\
             [web]\nlisten = \"127.0.0.1:{}\"\n\
             [node]\nlisten = \"127.0.0.1:{}\"\n{more}\n",
            self.storage.display(),
            self.minimum_free,
            Self::AE_TITLE,
            self.receiver,
            self.web,
            self.node,
        );
        for source in sources {
            write!(
                toml,
                "[[source]]\nname = \"{}\"\nae_title = \"{}\"\naddress = \"127.0.0.1:{}\"\n{}\n",
                source.name, source.ae_title, source.port, source.keys
            )
            .expect("a string");
        }
        std::fs::write(&self.config, toml).expect("the configuration");
    }

    /// Runs one command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        let done = finish(self.command(arguments), MIGRATION);
        Finished {
            code: done.status.code().expect("an exit code, not a signal"),
            out: text(&done.stdout),
            err: text(&done.stderr),
        }
    }

    /// Runs one command that dies at a fail point, if it passes it.
    #[cfg(feature = "failpoints")]
    pub(crate) fn run_until_fail_point(&self, arguments: &[&str], point: &str) -> std::process::Output {
        let mut command = self.command(arguments);
        command.env("PACSFERRY_FAILPOINT", point);
        finish(command, MIGRATION)
    }

    /// Runs one command that prints one JSON document.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let done = self.run(arguments);
        serde_json::from_str(&done.out)
            .unwrap_or_else(|e| panic!("{arguments:?} printed no JSON ({e}): {}{}", done.out, done.err))
    }

    /// Starts a worker, and waits until its receiver listens.
    pub(crate) fn work(&self) -> Server {
        self.start_worker(self.command(&["work"]))
    }

    /// Starts the hospital's node, and waits until it listens.
    pub(crate) fn serve(&self) -> Server {
        let (node, web, log) = (self.node, self.web, self.folder.path().join("serve.log"));
        Server::start(self.command(&["serve", "--no-worker"]), &log, || listens(node) && listens(web))
    }

    /// Starts the hospital's node, which starts a worker if none runs.
    pub(crate) fn serve_with_worker(&self) -> Server {
        let (node, web, log) = (self.node, self.web, self.folder.path().join("serve.log"));
        Server::start(self.command(&["serve"]), &log, || listens(node) && listens(web))
    }

    /// What the node has logged.
    pub(crate) fn served(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("serve.log")).unwrap_or_default()
    }

    /// Starts a worker that dies at a fail point.
    #[cfg(feature = "failpoints")]
    pub(crate) fn work_until_fail_point(&self, point: &str) -> Server {
        let mut command = self.command(&["work"]);
        command.env("PACSFERRY_FAILPOINT", point);
        self.start_worker(command)
    }

    /// Starts a command that is killed when it is dropped, if it still runs.
    #[cfg(feature = "failpoints")]
    pub(crate) fn start(&self, arguments: &[&str]) -> Server {
        Server::start(self.command(arguments), &self.folder.path().join("start.log"), || true)
    }

    fn start_worker(&self, command: Command) -> Server {
        let (receiver, log) = (self.receiver, self.folder.path().join("work.log"));
        Server::start(command, &log, || listens(receiver))
    }

    /// What the catalog says of every instance: its row, by SOP Instance UID.
    pub(crate) fn instances(&self) -> BTreeMap<String, Value> {
        let rows = self.json(&["find", "catalog", "--level", "instance", "--json"]);
        let rows = rows.as_array().expect("a list of instances");
        let by_uid: BTreeMap<_, _> = rows.iter().map(|row| (string(row, "SOPInstanceUID"), row.clone())).collect();
        assert_eq!(by_uid.len(), rows.len(), "the catalog shows an instance twice");
        by_uid
    }

    /// The digest that the catalog has of every instance, each checked against the file it names.
    pub(crate) fn filed(&self) -> BTreeMap<String, String> {
        self.instances()
            .into_iter()
            .map(|(uid, row)| {
                let digest = string(&row, "digest");
                let file = self.storage().join(string(&row, "file"));
                assert_eq!(data_set_digest(&file), digest, "{}", file.display());
                (uid, digest)
            })
            .collect()
    }

    /// The digests of the data sets in quarantine.
    pub(crate) fn quarantined(&self) -> Vec<String> {
        files_below(&self.storage().join("quarantine"))
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "dcm"))
            .map(|path| data_set_digest(path))
            .collect()
    }

    /// What lies in the incoming folder, lock files aside.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = files_below(&self.storage().join("incoming"));
        found.retain(|path| path.extension().is_some_and(|e| e == "dcm" || e == "part"));
        found
    }

    /// The folder that holds everything else.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The storage folder.
    pub(crate) fn storage(&self) -> PathBuf {
        self.storage.clone()
    }

    /// Kills every process with its configuration: nodes, and the workers they started.
    pub(crate) fn kill(&self) {
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = process.file_name().to_str().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let is_ours = command.split(|byte| *byte == 0).any(|part| part == self.config.as_os_str().as_bytes());
            if let Some(pid) = pid.filter(|_| is_ours) {
                // It may have ended meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// The program with these arguments, in the folder of the test.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pacsferry"));
        command.args(arguments).arg("--config").arg(&self.config).current_dir(self.folder.path());
        command
    }
}

/// A text of a JSON row.
pub(crate) fn string(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row}")).to_owned()
}

/// All files below a folder, however deep; none when it does not exist.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}
