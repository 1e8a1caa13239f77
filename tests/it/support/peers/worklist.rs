//! DCMTK's `wlmscpfs` as the hospital's Modality Worklist.

use std::path::Path;
use std::process::Command;

use super::{PATIENCE, Server, finish, free_port, listens, text};

/// A running `wlmscpfs`, ended when dropped.
pub(crate) struct Worklist {
    _server: Server,
    folder: tempfile::TempDir,
    /// Its DICOM port on loopback.
    pub(crate) port: u16,
}

impl Worklist {
    /// Its AE title.
    pub(crate) const AE_TITLE: &'static str = "RIS";

    /// With nobody on it.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(Self::AE_TITLE)).expect("its folder");
        std::fs::write(folder.path().join(Self::AE_TITLE).join("lockfile"), "").expect("its lock file");
        let port = free_port();
        let mut command = Command::new("wlmscpfs");
        command.arg("-dfp").arg(folder.path()).arg(port.to_string()).env("TCP_NODELAY", "1");
        let server = Server::start(command, &folder.path().join("log"), || listens(port));
        Self { _server: server, folder, port }
    }

    /// Puts somebody on it, on a day `YYYYMMDD`.
    pub(crate) fn expect(&self, number: usize, patient_id: &str, issuer: &str, day: &str) {
        let dump = format!(
            "(0008,0005) CS [ISO_IR 100]\n(0008,0050) SH [A{number}]\n(0010,0010) PN [Doe^{number}]\n\
             (0010,0020) LO [{patient_id}]\n(0010,0021) LO [{issuer}]\n(0010,0030) DA [19700101]\n(0010,0040) CS [O]\n\
             (0020,000d) UI [1.2.826.{number}]\n(0032,1060) LO [Head]\n\
             (0040,0100) SQ\n(fffe,e000) na\n(0008,0060) CS [CT]\n(0040,0001) AE [CT1]\n(0040,0002) DA [{day}]\n\
             (0040,0003) TM [080000]\n(0040,0006) PN [Roe]\n(0040,0007) LO [Head]\n(0040,0009) SH [S{number}]\n\
             (fffe,e00d) na\n(fffe,e0dd) na\n(0040,1001) SH [R{number}]\n"
        );
        self.file(&dump, &self.folder.path().join(Self::AE_TITLE).join(format!("{number}.wl")));
    }

    fn file(&self, dump: &str, to: &Path) {
        let from = self.folder.path().join("entry.dump");
        std::fs::write(&from, dump).expect("an entry as text");
        let mut command = Command::new("dump2dcm");
        command.arg("+te").arg(&from).arg(to);
        let done = finish(command, PATIENCE);
        assert!(done.status.success(), "dump2dcm: {}", text(&done.stderr));
    }
}
