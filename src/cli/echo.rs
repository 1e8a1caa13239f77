//! `echo`: C-ECHO, and what the peer accepts.

use std::io::Write;

use serde_json::Value;

use super::{Exit, Failure, Global, open, output, slot};
use crate::config::{Config, HostPort, Source};
use crate::dataset::CharacterSet;
use crate::dicom::AeTitle;
use crate::job::probe::{self, CONNECT, RESPOND, service, target_of, target_of_peer};
use crate::job::report::escape;
use crate::scu::{self, EchoReport, Target};

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
        Some(source) => Some(slot::take(&config, source).await?),
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

fn document(target: &Target, report: &EchoReport) -> Value {
    let mut document = probe::report_json(report);
    if let Value::Object(fields) = &mut document {
        fields.insert("called".into(), target.called.as_str().into());
        fields.insert("calling".into(), target.calling.as_str().into());
        fields.insert("address".into(), probe::address(target).into());
    }
    document
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
