//! Whether a node of the configuration is there, what it accepts, and whether it can reach us back: what `echo`, `check` and the
//! console say of it.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};

use super::report::local_time;
use super::slot::{Slot, SlotError};
use super::words;
use crate::catalog::{Catalog, CatalogError};
use crate::config::{Config, HostPort, Peer, Retrieve, Source, Verify};
use crate::dataset::CharacterSet;
use crate::dicom::uids;
use crate::scu::{self, EchoReport, Target};

/// How long connecting to a peer may take.
pub const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take to answer.
pub const RESPOND: Duration = Duration::from_secs(30);

/// Something about a node that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether nothing works as long as it is so.
    pub severe: bool,
    /// What is so.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What must be registered at a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The source.
    pub source: String,
    /// Our move destination.
    pub ae_title: String,
    /// The AE title that we call from.
    pub calling: String,
    /// This machine, as the source sees it, if that can be told.
    pub host: Option<IpAddr>,
    /// The port of the receiver.
    pub port: u16,
    /// Whether it sends to us over associations of its own.
    pub pushes: bool,
}

/// What came out of a test.
#[derive(Debug, Default)]
pub struct Probe {
    /// What it said of itself, if it answered.
    pub report: Option<EchoReport>,
    /// What is in order.
    pub good: Vec<String>,
    /// What is not.
    pub findings: Vec<Finding>,
    /// What must be registered there.
    pub register: Option<Registration>,
}

impl Probe {
    fn find(&mut self, severe: bool, message: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding { severe, message: message.into(), remedy: remedy.into() });
    }

    /// Whether nothing stands in the way.
    pub fn ok(&self) -> bool {
        self.findings.iter().all(|finding| !finding.severe)
    }

    /// As scripts have it.
    pub fn json(&self) -> Value {
        let finding = |f: &Finding| {
            let level = if f.severe { "error" } else { "warning" };
            json!({ "level": level, "message": f.message, "remedy": f.remedy })
        };
        json!({
            "ok": self.ok(),
            "echo": self.report.as_ref().map(report_json),
            "good": self.good,
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "register": self.register.as_ref().map(registration_json),
        })
    }
}

/// Where a source is, and how long we wait for it.
pub fn target_of(source: &Source) -> Target {
    Target {
        name: source.name.clone(),
        host: source.address.host.clone(),
        port: source.address.port,
        called: source.ae_title.clone(),
        calling: source.calling.clone(),
        connect: source.timeout.connect,
        respond: source.timeout.find,
        default_charset: source.charset.as_deref().map_or_else(CharacterSet::ascii, CharacterSet::from_terms),
        throttle: None,
        tls: source.tls.clone(),
        identity: source.identity.clone(),
    }
}

/// Where a node of the hospital is.
pub fn target_of_peer(config: &Config, peer: &Peer) -> Target {
    Target::of_peer(peer, config.node.ae_title.clone(), CONNECT, RESPOND)
}

/// What an answer to C-ECHO says, for scripts.
pub fn report_json(report: &EchoReport) -> Value {
    json!({
        "milliseconds": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        "implementation": report.implementation,
        "max_pdu": report.max_pdu,
        "accepted": report.accepted.iter().map(|(class, syntax)| json!({ "sop_class": class, "name": service(class), "transfer_syntax": syntax })).collect::<Vec<_>>(),
        "rejected": report.rejected.iter().map(|class| json!({ "sop_class": class, "name": service(class) })).collect::<Vec<_>>(),
    })
}

/// What must be registered, for scripts.
pub fn registration_json(r: &Registration) -> Value {
    json!({
        "source": r.source, "ae_title": r.ae_title, "calling": r.calling, "host": r.host, "port": r.port,
        "move_destination": r.pushes,
    })
}

/// What people call a service.
pub fn service(class: &str) -> &str {
    match class {
        uids::VERIFICATION => "Verification (C-ECHO)",
        uids::STUDY_ROOT_FIND => "Study Root C-FIND",
        uids::STUDY_ROOT_MOVE => "Study Root C-MOVE",
        uids::STUDY_ROOT_GET => "Study Root C-GET",
        uids::PATIENT_ROOT_FIND => "Patient Root C-FIND",
        uids::PATIENT_ROOT_MOVE => "Patient Root C-MOVE",
        uids::PATIENT_ROOT_GET => "Patient Root C-GET",
        other => other,
    }
}

/// Tests a source: C-ECHO within its limits, what it accepts, and whether it has ever reached us.
pub async fn source(config: &Config, source: &Source, catalog: Option<Catalog>) -> Probe {
    let mut probe = Probe::default();
    let slot = match Slot::take(catalog.clone(), source).await {
        Ok(slot) => slot,
        Err(SlotError::Closed(_)) => {
            probe.find(false, "its hours allow no association now; it was not tried", "check again at another hour");
            return probe;
        }
        Err(error) => {
            probe.find(false, words(&error), "it was not tried");
            return probe;
        }
    };
    let answered = scu::echo(&target_of(source)).await;
    slot.release().await;
    match answered {
        Ok(report) => {
            accepted(source, &report, &mut probe);
            probe.report = Some(report);
        }
        Err(error) => {
            let remedy = error.remedy().unwrap_or_else(|| {
                format!(
                    "see that {} at {} is the old PACS and that no firewall is between",
                    source.ae_title, source.address
                )
            });
            let what = format!("C-ECHO to {} at {} failed: {}", source.ae_title, source.address, words(&error));
            probe.find(true, what, remedy);
        }
    }
    if source.retrieve != Retrieve::Get && probe.ok() {
        match reached_us(catalog, source).await {
            Ok(said) => probe.good.push(said),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot tell what a source has sent")
            }
        }
    }
    probe.register = Some(Registration {
        source: source.name.clone(),
        ae_title: config.receiver.ae_title.to_string(),
        calling: source.calling.to_string(),
        host: our_address(config, source),
        port: config.receiver.listen.port(),
        pushes: source.retrieve != Retrieve::Get,
    });
    probe
}

/// Whether it can reach us back shows only when it has.
async fn reached_us(catalog: Option<Catalog>, source: &Source) -> Result<String, CatalogError> {
    let last = match catalog {
        Some(catalog) => catalog.last_sent(&source.name).await?,
        None => None,
    };
    Ok(match last {
        Some(at) => format!("{} has reached us: objects came in the hour from {}", source.name, local_time(at)),
        None => format!("whether {} can reach us back is not known yet: the first study tells", source.name),
    })
}

fn accepted(source: &Source, report: &EchoReport, probe: &mut Probe) {
    let has = |classes: [&str; 2]| report.accepted.iter().any(|(class, _)| classes.contains(&class.as_str()));
    let find = has([uids::STUDY_ROOT_FIND, uids::PATIENT_ROOT_FIND]);
    let r#move = has([uids::STUDY_ROOT_MOVE, uids::PATIENT_ROOT_MOVE]);
    let get = has([uids::STUDY_ROOT_GET, uids::PATIENT_ROOT_GET]);
    let services: Vec<&str> = report.accepted.iter().map(|(class, _)| service(class)).collect();
    probe.good.push(format!(
        "{} answers C-ECHO in {} ms and accepts {}",
        source.name,
        report.elapsed.as_millis(),
        services.join(", ")
    ));
    let permission = format!("let the old PACS allow {} to query and retrieve", source.calling);
    if !find {
        probe.find(true, "it refuses queries (C-FIND)", &permission);
    }
    match source.retrieve {
        Retrieve::Move if !r#move => probe.find(true, "it refuses C-MOVE", permission),
        Retrieve::Get if !get => probe.find(
            true,
            "it refuses C-GET, and retrieve = \"get\"",
            "set retrieve = \"auto\" and register the receiver as a move destination",
        ),
        Retrieve::Auto if !r#move && !get => probe.find(true, "it refuses C-MOVE and C-GET", permission),
        Retrieve::Auto if !r#move => probe.find(
            false,
            "it refuses C-MOVE; objects will come by C-GET",
            "set retrieve = \"get\" if that is meant",
        ),
        _ => {}
    }
    if source.verify == Verify::Count {
        probe.find(
            false,
            "verify = \"count\": studies are proven by their number of objects only",
            "use \"instances\" unless the old PACS cannot list images",
        );
    }
}

/// The address under which the source sees this machine: the one that we would call from. Nothing is sent.
fn our_address(config: &Config, source: &Source) -> Option<IpAddr> {
    let listen = config.receiver.listen.ip();
    if !listen.is_unspecified() {
        return Some(listen);
    }
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect((source.address.host.as_str(), source.address.port)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// Tests a node of the hospital. It is no failure of ours when it does not answer: nobody needs it but those it serves.
pub async fn peer(config: &Config, peer: &Peer) -> Probe {
    let mut probe = Probe::default();
    match scu::echo(&target_of_peer(config, peer)).await {
        Ok(report) => {
            probe.good.push(format!("{} answers C-ECHO in {} ms", peer.ae_title, report.elapsed.as_millis()));
            probe.report = Some(report);
        }
        Err(error) => {
            let remedy = error.remedy().unwrap_or_else(|| "C-MOVE cannot send to it; C-GET may do".into());
            let what = format!("C-ECHO to {} at {} failed: {}", peer.ae_title, peer.address, words(&error));
            probe.find(false, what, remedy);
        }
    }
    probe
}

/// Where a node listens, in one text.
pub fn address(target: &Target) -> String {
    HostPort { host: target.host.clone(), port: target.port }.to_string()
}
