//! DCMTK: `dcmqrscp` as an old PACS, and `storescp`, `movescu`, `getscu` as independent witnesses
//! of what a source sends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{PATIENCE, Sample, Server, data_set_digest, finish, free_port, listens, text};

/// A running `dcmqrscp`, ended when dropped.
pub(crate) struct Dcmqrscp {
    _server: Server,
    _folder: tempfile::TempDir,
    /// Its DICOM port on loopback.
    pub(crate) port: u16,
}

impl Dcmqrscp {
    /// Its AE title.
    pub(crate) const AE_TITLE: &'static str = "QRSCP";

    /// Starts one that holds the samples where they lie and knows the move destinations.
    ///
    /// It sends in one transfer syntax a SOP class only: `syntax` has its options for another
    /// than the uncompressed ones (`["-xy", "+xy"]` is JPEG baseline, out and in).
    pub(crate) fn start<'a>(
        samples: impl IntoIterator<Item = &'a Sample>,
        destinations: &[(&str, u16)],
        syntax: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage = folder.path().join("storage");
        std::fs::create_dir(&storage).expect("a storage area");
        let mut register = Command::new("dcmqridx");
        register
            .arg("-n")
            .arg(&storage)
            .args(samples.into_iter().map(|s| &s.path));
        let done = finish(register, PATIENCE);
        assert!(done.status.success(), "dcmqridx: {}", text(&done.stderr));

        let port = free_port();
        let hosts: String = destinations
            .iter()
            .enumerate()
            .map(|(n, (ae, port))| format!("host{n} = ({ae}, 127.0.0.1, {port})\n"))
            .collect();
        let config = folder.path().join("dcmqrscp.cfg");
        let settings = format!(
            "NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n\
             HostTable BEGIN\n{hosts}HostTable END\n\
             VendorTable BEGIN\nVendorTable END\n\
             AETable BEGIN\n{} {} R (1000, 1024mb) ANY\nAETable END\n",
            Self::AE_TITLE,
            storage.display(),
        );
        std::fs::write(&config, settings).expect("dcmqrscp's configuration");
        let mut command = Command::new("dcmqrscp");
        command
            .arg("-dhl")
            .args(syntax)
            .arg("-c")
            .arg(&config)
            .env("TCP_NODELAY", "1");
        let server = Server::start(command, &folder.path().join("log"), || listens(port));
        Self {
            _server: server,
            _folder: folder,
            port,
        }
    }
}

/// `storescp`, bit-preserving: files hold the data set as it came over the wire.
pub(crate) struct Storescp {
    _server: Server,
    folder: tempfile::TempDir,
}

impl Storescp {
    /// Its AE title.
    pub(crate) const AE_TITLE: &'static str = "WITNESS";

    /// Listens on `port`, which the sources must know.
    pub(crate) fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("in")).expect("an output folder");
        let mut command = Command::new("storescp");
        command
            .args([
                "--fork", "+B", "+xa", "-pm", "-dhl", "-pdu", "131072", "-od",
            ])
            .arg(folder.path().join("in"))
            .arg(port.to_string())
            .env("TCP_NODELAY", "1");
        let server = Server::start(command, &folder.path().join("log"), || listens(port));
        Self {
            _server: server,
            folder,
        }
    }

    /// The digest of every data set received, by SOP Instance UID.
    pub(crate) fn received(&self) -> BTreeMap<String, String> {
        digests_of(&self.folder.path().join("in"))
    }
}

/// Has the source send one study to the AE title, with `movescu`. A source that cannot send all
/// of it says so in its status; what came counts, so that is no failure.
pub(crate) fn move_study(port: u16, ae_title: &str, destination: &str, study: &str) {
    let mut command = Command::new("movescu");
    command
        .args([
            "-S",
            "-aet",
            "WITNESS",
            "-aec",
            ae_title,
            "-aem",
            destination,
        ])
        .args([
            "-k",
            "QueryRetrieveLevel=STUDY",
            "-k",
            &format!("StudyInstanceUID={study}"),
        ])
        .args(["127.0.0.1", &port.to_string()])
        .env("TCP_NODELAY", "1");
    let _partial_is_fine = finish(command, PATIENCE);
}

/// Fetches studies with `getscu`; the digest of every data set, by SOP Instance UID.
pub(crate) fn get_study<'a>(
    port: u16,
    ae_title: &str,
    preferred: Option<&str>,
    studies: impl IntoIterator<Item = &'a String>,
) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for study in studies {
        let mut command = Command::new("getscu");
        command
            .args(["+B", "-S", "-aet", "WITNESS", "-aec", ae_title])
            .args(preferred)
            .args([
                "-k",
                "QueryRetrieveLevel=STUDY",
                "-k",
                &format!("StudyInstanceUID={study}"),
            ])
            .arg("-od")
            .arg(folder.path())
            .args(["127.0.0.1", &port.to_string()])
            .env("TCP_NODELAY", "1");
        let _partial_is_fine = finish(command, PATIENCE);
    }
    digests_of(folder.path())
}

/// DCMTK names a received file by its modality and SOP Instance UID: `CT.1.2.3`.
fn digests_of(folder: &Path) -> BTreeMap<String, String> {
    let files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("an output folder")
        .map(|e| e.expect("an entry").path())
        .collect();
    files
        .iter()
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            let uid = name
                .split_once('.')
                .expect("a modality and a UID")
                .1
                .to_owned();
            (uid, data_set_digest(path))
        })
        .collect()
}
