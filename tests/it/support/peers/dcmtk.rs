//! DCMTK: `dcmqrscp` as an old PACS, and `storescp`, `movescu`, `getscu` as independent witnesses
//! of what a source sends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Ferry, PATIENCE, Sample, Server, data_set_digest, finish, free_port, listens, sop_instance, text};

/// What `storescp +xa` takes: native, deflated, RLE, JPEG, JPEG-LS, JPEG 2000.
pub(crate) const DCMTK_SYNTAXES: [&str; 13] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
];

/// A running `dcmqrscp`, ended when dropped.
pub(crate) struct Dcmqrscp {
    _server: Server,
    _folder: tempfile::TempDir,
    registered: BTreeSet<PathBuf>,
    /// Its DICOM port on loopback.
    pub(crate) port: u16,
}

impl Dcmqrscp {
    /// Its AE title.
    pub(crate) const AE_TITLE: &'static str = "QRSCP";

    /// Starts one that holds the samples where they lie and knows the move destinations.
    ///
    /// It takes the first presentation context of a SOP class, whatever an object is held in. So it sends uncompressed
    /// objects, or, as its `only`, those of one other transfer syntax.
    pub(crate) fn start(samples: &[&Sample], destinations: &[(&str, u16)], only: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage = folder.path().join("storage");
        std::fs::create_dir(&storage).expect("a storage area");
        let mut register = Command::new("dcmqridx");
        register.arg("-n").arg(&storage).args(samples.iter().map(|s| &s.path));
        let done = finish(register, PATIENCE);
        assert!(done.status.success(), "dcmqridx: {}", text(&done.stderr));
        let mut print = Command::new("dcmqridx");
        print.arg("-p").arg(&storage);
        let registered = text(&finish(print, PATIENCE).stdout)
            .lines()
            .filter_map(|line| Some(line.trim().strip_prefix("Filename: ")?.into()))
            .collect();

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
        if let Some(syntax) = only {
            let profiles = folder.path().join("associations.cfg");
            std::fs::write(&profiles, associations(samples, syntax)).expect("its association profiles");
            command.arg("-xf").arg(profiles).args(["IN", "OUT"]);
        }
        command.arg("-dhl").arg("-c").arg(&config).env("TCP_NODELAY", "1");
        let server = Server::start(command, &folder.path().join("log"), || listens(port));
        Self { _server: server, _folder: folder, registered, port }
    }

    /// Those of the samples that it holds: it leaves out what it cannot read, and says nothing.
    pub(crate) fn held<'a>(&self, samples: impl IntoIterator<Item = &'a Sample>) -> Vec<&'a Sample> {
        samples.into_iter().filter(|s| self.registered.contains(&s.path)).collect()
    }
}

/// Association profiles: queries and moves in, every SOP class of the samples out in one transfer syntax.
fn associations(samples: &[&Sample], syntax: &str) -> String {
    const VERIFICATION: &str = "1.2.840.10008.1.1";
    const STUDY_ROOT: [&str; 2] = ["1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"];
    let list = |classes: &mut dyn Iterator<Item = &str>, syntaxes: &str| -> String {
        classes.enumerate().map(|(n, class)| format!("PresentationContext{} = {class}\\{syntaxes}\n", n + 1)).collect()
    };
    let classes: BTreeSet<&str> = samples.iter().map(|s| s.sop_class.as_str()).collect();
    format!(
        "[[TransferSyntaxes]]\n[Plain]\nTransferSyntax1 = 1.2.840.10008.1.2\n[Only]\nTransferSyntax1 = {syntax}\n\
         [[PresentationContexts]]\n[Services]\n{}[Objects]\n{}\
         [[Profiles]]\n[IN]\nPresentationContexts = Services\n[OUT]\nPresentationContexts = Objects\n",
        list(&mut [VERIFICATION].into_iter().chain(STUDY_ROOT), "Plain"),
        list(&mut classes.into_iter(), "Only"),
    )
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
        Self::start_with(port, &["+xa"])
    }

    /// The same, with other options.
    pub(crate) fn start_with(port: u16, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("in")).expect("an output folder");
        let mut command = Command::new("storescp");
        command
            .args(["--fork", "+B", "-pm", "-dhl", "-pdu", "131072"])
            .args(options)
            .arg("-od")
            .arg(folder.path().join("in"))
            .arg(port.to_string())
            .env("TCP_NODELAY", "1");
        let server = Server::start(command, &folder.path().join("log"), || listens(port));
        Self { _server: server, folder }
    }

    /// The digest of every data set received, by SOP Instance UID.
    pub(crate) fn received(&self) -> BTreeMap<String, String> {
        digests_of(&self.folder.path().join("in"))
    }

    /// The files received, by SOP Instance UID.
    pub(crate) fn files(&self) -> BTreeMap<String, PathBuf> {
        files_of(&self.folder.path().join("in"))
    }
}

/// `movescu` at the node, to [`Storescp::AE_TITLE`]; what it printed.
pub(crate) fn movescu(ferry: &Ferry, arguments: &[&str]) -> String {
    let mut command = Command::new("movescu");
    command
        .args(["-d", "-aet", Storescp::AE_TITLE, "-aec", Ferry::NODE, "-aem", Storescp::AE_TITLE])
        .args(arguments)
        .args(["127.0.0.1", &ferry.node.to_string()])
        .env("TCP_NODELAY", "1");
    let done = finish(command, PATIENCE * 2);
    text(&done.stdout) + &text(&done.stderr)
}

/// `getscu` at the node, bit-preserving; the digest of every data set, by SOP Instance UID.
pub(crate) fn getscu(ferry: &Ferry, arguments: &[&str]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new("getscu");
    command
        .args(["+B", "-aet", Storescp::AE_TITLE, "-aec", Ferry::NODE])
        .args(arguments)
        .arg("-od")
        .arg(folder.path())
        .args(["127.0.0.1", &ferry.node.to_string()])
        .env("TCP_NODELAY", "1");
    let done = finish(command, PATIENCE * 2);
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    digests_of(folder.path())
}

/// Has the source send one study to the AE title, with `movescu`. A source that cannot send all
/// of it says so in its status; what came counts, so that is no failure.
pub(crate) fn move_study(port: u16, ae_title: &str, destination: &str, study: &str) {
    let mut command = Command::new("movescu");
    command
        .args(["-S", "-aet", "WITNESS", "-aec", ae_title, "-aem", destination])
        .args(["-k", "QueryRetrieveLevel=STUDY", "-k", &format!("StudyInstanceUID={study}")])
        .args(["127.0.0.1", &port.to_string()])
        .env("TCP_NODELAY", "1");
    let _partial_is_fine = finish(command, PATIENCE);
}

/// Fetches studies with `getscu`; the digest of every data set, by SOP Instance UID.
pub(crate) fn get_study<'a>(
    port: u16,
    ae_title: &str,
    studies: impl IntoIterator<Item = &'a String>,
) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for study in studies {
        let mut command = Command::new("getscu");
        command
            .args(["+B", "-S", "-aet", "WITNESS", "-aec", ae_title])
            .args(["-k", "QueryRetrieveLevel=STUDY", "-k", &format!("StudyInstanceUID={study}")])
            .arg("-od")
            .arg(folder.path())
            .args(["127.0.0.1", &port.to_string()])
            .env("TCP_NODELAY", "1");
        let _partial_is_fine = finish(command, PATIENCE);
    }
    digests_of(folder.path())
}

/// Sends files with `dcmsend`, as it sees fit.
pub(crate) fn dcmsend<'a>(port: u16, called: &str, samples: impl IntoIterator<Item = &'a Sample>) {
    let mut command = Command::new("dcmsend");
    command
        .args(["-nh", "-nuc", "-aet", "DCMSEND", "-aec", called])
        .args(["127.0.0.1", &port.to_string()])
        .args(samples.into_iter().map(|s| &s.path))
        .env("TCP_NODELAY", "1");
    let _partial_is_fine = finish(command, PATIENCE);
}

/// Asks with `echoscu` whether somebody is there: what it printed, when it was refused.
pub(crate) fn echo(port: u16, calling: &str, called: &str) -> Result<(), String> {
    let mut command = Command::new("echoscu");
    command.args(["-aet", calling, "-aec", called, "127.0.0.1", &port.to_string()]);
    let done = finish(command, PATIENCE);
    if done.status.success() { Ok(()) } else { Err(text(&done.stderr) + &text(&done.stdout)) }
}

/// Every file that DCMTK left in a folder: its SOP Instance UID and the digest of its data set.
fn digests_of(folder: &Path) -> BTreeMap<String, String> {
    files_of(folder).into_iter().map(|(uid, path)| (uid, data_set_digest(&path))).collect()
}

fn files_of(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(folder).expect("an output folder");
    entries.map(|entry| entry.expect("an entry").path()).map(|path| (sop_instance(&path), path)).collect()
}
