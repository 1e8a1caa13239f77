//! Orthanc as an old PACS: its own folder, its own ports, objects uploaded by REST.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, Sample, Server, free_port, listens};

/// A running Orthanc, ended when dropped.
pub(crate) struct Orthanc {
    // Before the folder: a server must end before its files go.
    _server: Server,
    _folder: tempfile::TempDir,
    http: u16,
    /// Its DICOM port on loopback.
    pub(crate) port: u16,
}

impl Orthanc {
    /// Its AE title.
    pub(crate) const AE_TITLE: &'static str = "ORTHANC";

    /// Starts one that knows the move destinations. `find_limit` caps its answers; 0 is no cap.
    pub(crate) fn start(destinations: &[(&str, u16)], find_limit: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, http) = (free_port(), free_port());
        let known: serde_json::Map<String, Value> =
            destinations.iter().map(|(ae, port)| (ae.to_string(), json!([ae, "127.0.0.1", port]))).collect();
        let config = folder.path().join("orthanc.json");
        let settings = json!({
            "StorageDirectory": folder.path().join("db"),
            "IndexDirectory": folder.path().join("db"),
            "DicomAet": Self::AE_TITLE,
            "DicomPort": port,
            "DicomCheckCalledAet": false,
            "DicomAlwaysAllowEcho": true,
            "DicomAlwaysAllowStore": true,
            "DicomAlwaysAllowFind": true,
            "DicomAlwaysAllowGet": true,
            "DicomAlwaysAllowMove": true,
            "UnknownSopClassAccepted": true,
            "LimitFindResults": find_limit,
            "HttpPort": http,
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "DicomModalities": known,
        });
        std::fs::write(&config, settings.to_string()).expect("Orthanc's configuration");
        // In /usr/sbin, which is not in everybody's path.
        let program = ["/usr/sbin/Orthanc", "/usr/bin/Orthanc"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .unwrap_or("Orthanc");
        let mut command = Command::new(program);
        command.arg(&config).env("TCP_NODELAY", "1");
        let server = Server::start(command, &folder.path().join("log"), || {
            listens(port) && request(http, "GET", "/system", &[]).is_ok_and(|(status, _)| status == 200)
        });
        Self { _server: server, _folder: folder, http, port }
    }

    /// Uploads the samples, each SOP Instance UID once, and returns those that it took.
    pub(crate) fn load<'a>(&self, samples: impl IntoIterator<Item = &'a Sample>) -> Vec<&'a Sample> {
        samples
            .into_iter()
            .filter(|sample| {
                let bytes = std::fs::read(&sample.path).expect("a sample file");
                let (status, _) = request(self.http, "POST", "/instances", &bytes).expect("an answer of Orthanc");
                status == 200
            })
            .collect()
    }
}

impl Orthanc {
    /// Uploads files, each of which it must take.
    pub(crate) fn take(&self, files: &[std::path::PathBuf]) {
        for file in files {
            let bytes = std::fs::read(file).expect("a file");
            let (status, _) = request(self.http, "POST", "/instances", &bytes).expect("an answer of Orthanc");
            assert_eq!(status, 200, "{}", file.display());
        }
    }

    /// Has it fetch a study by C-MOVE from a node that it knows; whether it says that this worked.
    pub(crate) fn fetch(&self, from: &str, study: &str) -> bool {
        let what = json!({
            "Level": "Study", "Resources": [{ "StudyInstanceUID": study }], "Synchronous": true, "Timeout": 60,
        });
        let path = format!("/modalities/{from}/move");
        let answer = request(self.http, "POST", &path, what.to_string().as_bytes());
        answer.expect("an answer of Orthanc").0 == 200
    }

    /// Every file that it holds.
    pub(crate) fn files(&self) -> Vec<Vec<u8>> {
        let get = |path: &str| {
            let (status, body) = request(self.http, "GET", path, &[]).expect("an answer of Orthanc");
            assert_eq!(status, 200, "{path}");
            body
        };
        let ids: Vec<String> = serde_json::from_slice(&get("/instances")).expect("a list of instances");
        ids.iter().map(|id| get(&format!("/instances/{id}/file"))).collect()
    }
}

/// One HTTP request on a connection of its own; status and body.
fn request(port: u16, method: &str, path: &str, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
    let mut socket = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(5))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    let mut message =
        format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    message.extend_from_slice(body);
    socket.write_all(&message)?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or(std::io::ErrorKind::InvalidData)?;
    let status = std::str::from_utf8(&answer[..end])
        .ok()
        .and_then(|head| head.split_whitespace().nth(1)?.parse().ok())
        .ok_or(std::io::ErrorKind::InvalidData)?;
    Ok((status, answer.split_off(end + 4)))
}
