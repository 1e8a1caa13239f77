//! `echo`: C-ECHO, and what the peer accepts.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use super::slot::Slot;
use super::{Exit, Failure, Global, open, output};
use crate::config::{Config, HostPort, Peer, Source};
use crate::dataset::CharacterSet;
use crate::dicom::{AeTitle, uids};
use crate::job::report::escape;
use crate::scu::{self, EchoReport, Target};

/// How long connecting to a peer may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const RESPOND: Duration = Duration::from_secs(30);

/// C-ECHO to a source or to any peer, and what it accepts
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pacsferry echo oldpacs\n  pacsferry echo OLDPACS@10.1.2.3:104")]
pub(super) struct Args {
    /// The name of a source or the AE title of a peer in the configuration, or AE@HOST:PORT
    #[arg(value_name = "NAME|AE@HOST:PORT")]
    peer: String,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let (target, source) = resolve(&config, &args.peer)?;
    let slot = match source {
        Some(source) => Some(Slot::take(&config, source).await?),
        None => None,
    };
    let report = scu::echo(&target).await;
    if let Some(slot) = slot {
        slot.release().await;
    }
    let report = report?;
    if global.json {
        output::json(&document(&target, &report))?;
    } else {
        output::print(|out| text(out, &target, &report))?;
    }
    Ok(Exit::Done)
}

fn resolve<'c>(config: &'c Config, name: &str) -> Result<(Target, Option<&'c Source>), Failure> {
    if let Some((title, address)) = name.split_once('@') {
        let called = AeTitle::new(title).map_err(|error| Failure::usage(format!("`{title}`: {error}"), ""))?;
        let address: HostPort = address
            .parse()
            .map_err(|error: String| Failure::usage(error, "write AE@HOST:PORT, for example OLDPACS@10.1.2.3:104"))?;
        return Ok((target(name, &address, called, config.receiver.ae_title.clone()), None));
    }
    if let Some(peer) = config.peers.iter().find(|peer| peer.ae_title.as_str() == name) {
        return Ok((target_of_peer(config, peer), None));
    }
    let source = open::source(config, name)?;
    Ok((target_of(source), Some(source)))
}

/// Where a source is, and how long we wait for it.
pub(super) fn target_of(source: &Source) -> Target {
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
pub(super) fn target_of_peer(config: &Config, peer: &Peer) -> Target {
    Target::of_peer(peer, config.node.ae_title.clone(), CONNECT, RESPOND)
}

fn target(name: &str, address: &HostPort, called: AeTitle, calling: AeTitle) -> Target {
    Target {
        name: name.to_owned(),
        host: address.host.clone(),
        port: address.port,
        called,
        calling,
        connect: CONNECT,
        respond: RESPOND,
        default_charset: CharacterSet::ascii(),
        throttle: None,
        tls: None,
        identity: None,
    }
}

fn document(target: &Target, report: &EchoReport) -> serde_json::Value {
    json!({
        "called": target.called.as_str(),
        "calling": target.calling.as_str(),
        "address": HostPort { host: target.host.clone(), port: target.port }.to_string(),
        "milliseconds": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        "implementation": report.implementation,
        "max_pdu": report.max_pdu,
        "accepted": report.accepted.iter().map(|(class, syntax)| json!({ "sop_class": class, "name": service(class), "transfer_syntax": syntax })).collect::<Vec<_>>(),
        "rejected": report.rejected.iter().map(|class| json!({ "sop_class": class, "name": service(class) })).collect::<Vec<_>>(),
    })
}

fn text(out: &mut dyn Write, target: &Target, report: &EchoReport) -> std::io::Result<()> {
    let implementation = report.implementation.as_deref().map(escape::terminal);
    writeln!(out, "{} answers in {} ms", target.called, report.elapsed.as_millis())?;
    writeln!(
        out,
        "  implementation {}, PDUs up to {} bytes",
        implementation.as_deref().unwrap_or("unnamed"),
        report.max_pdu
    )?;
    for (class, _) in &report.accepted {
        writeln!(out, "  accepts {}", service(class))?;
    }
    for class in &report.rejected {
        writeln!(out, "  refuses {}", service(class))?;
    }
    Ok(())
}

/// What people call a service.
pub(super) fn service(class: &str) -> &str {
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
