//! A modality that asks for storage commitment, by pynetdicom.

use serde::Deserialize;
use serde_json::{Value, json};

use super::samples::script;
use super::{Ferry, PATIENCE, Server, finish, free_port, listens, text};

/// Something to be committed: its SOP class and its SOP Instance UID.
pub(crate) type Reference = (String, String);

/// A modality with a port of its own, on which it listens or not.
pub(crate) struct Modality {
    /// Its port.
    pub(crate) port: u16,
    folder: tempfile::TempDir,
}

/// A request.
pub(crate) struct Ask<'a> {
    /// Transaction UID; left out if empty.
    pub(crate) transaction: &'a str,
    /// What for.
    pub(crate) instances: &'a [Reference],
    /// Whether the association stays open until a report has come.
    pub(crate) stay: bool,
    /// Action Type ID.
    pub(crate) action: u16,
    /// SOP Instance UID; the well-known one if empty.
    pub(crate) instance: &'a str,
}

/// What became of a request.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    /// The status of the N-ACTION response, if there was one.
    pub(crate) status: Option<u16>,
    /// What was reported on the same association.
    pub(crate) reports: Vec<Report>,
}

/// An N-EVENT-REPORT.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Report {
    /// Event Type ID.
    pub(crate) event: u16,
    /// Affected SOP Instance UID.
    pub(crate) instance: String,
    /// Transaction UID.
    pub(crate) transaction: String,
    /// Retrieve AE Title.
    pub(crate) retrieve: String,
    /// What is committed.
    pub(crate) committed: Vec<Reference>,
    /// What is not, with the reasons.
    pub(crate) failed: Vec<(String, String, u16)>,
    /// Who opened the association.
    pub(crate) requestor: String,
}

impl Ask<'_> {
    /// A request as it should be.
    pub(crate) fn of<'a>(transaction: &'a str, instances: &'a [Reference]) -> Ask<'a> {
        Ask { transaction, instances, stay: false, action: 1, instance: "" }
    }
}

impl Modality {
    /// Its AE title.
    pub(crate) const AE_TITLE: &'static str = "CT_ROOM1";

    pub(crate) fn new() -> Self {
        Modality { port: free_port(), folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Its `[[peer]]`, with these rights.
    pub(crate) fn peer(&self, rights: &str) -> String {
        let (title, port) = (Self::AE_TITLE, self.port);
        format!("[[peer]]\nae_title = \"{title}\"\naddress = \"127.0.0.1:{port}\"\nallow = {rights}\n")
    }

    /// Asks, under its own AE title.
    pub(crate) fn ask(&self, ferry: &Ferry, ask: &Ask<'_>) -> Asked {
        let request = json!({
            "calling": Self::AE_TITLE, "port": ferry.node, "called": Ferry::NODE, "stay": ask.stay,
            "transaction": ask.transaction, "instances": ask.instances, "action": ask.action, "instance": ask.instance,
        });
        let mut command = script("commit.py");
        command.arg("ask").arg(request.to_string());
        let done = finish(command, PATIENCE * 2);
        assert!(done.status.success(), "pynetdicom: {}", text(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&done.stdout)))
    }

    /// Begins to listen.
    pub(crate) fn listen(&self) -> Server {
        let mut command = script("commit.py");
        let request: Value = json!({ "calling": Self::AE_TITLE, "port": self.port });
        command.arg("listen").arg(request.to_string());
        let port = self.port;
        Server::start(command, &self.folder.path().join("reports"), || listens(port))
    }

    /// What was reported to its port.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let lines = std::fs::read_to_string(self.folder.path().join("reports")).unwrap_or_default();
        // The last line may not be whole yet.
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
