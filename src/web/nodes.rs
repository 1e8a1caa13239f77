//! The nodes of the configuration: sources and the hospital's own, each with a test of whether it is there, what it accepts, and
//! whether it can reach us back.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::guard::{Posted, Signed, Viewer};
use crate::config::units::format_rate;
use crate::config::{Config, Limits, Peer, Privilege, Retrieve, Source};
use crate::job::control::{self, RECEIVER_LEASE};
use crate::job::probe::{self, Probe, Registration, service};
use crate::job::report::local_time;

/// Tests at one time: each may wait for a node that does not answer.
static TESTS: Semaphore = Semaphore::const_new(4);

/// Which node is to be tested: the name of a source, or the AE title of a peer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Test {
    source: String,
    peer: String,
}

/// A source, ready to be shown.
struct SourceRow {
    name: String,
    ae_title: String,
    address: String,
    calling: String,
    retrieve: &'static str,
    limits: String,
    tls: bool,
    sent: String,
}

/// A peer, ready to be shown.
struct PeerRow {
    ae_title: String,
    address: String,
    allow: String,
    corrections: bool,
    tls: bool,
}

/// A test, ready to be shown.
struct Tested {
    what: String,
    probe: Probe,
    implementation: String,
    accepted: Vec<String>,
    refused: Vec<String>,
}

#[derive(Template)]
#[template(path = "nodes.html", config = "src/web/templates/askama.toml")]
struct NodesPage {
    frame: Frame,
    receiver: String,
    receives: bool,
    node: String,
    sources: Vec<SourceRow>,
    peers: Vec<PeerRow>,
    tested: Option<Tested>,
    may_operate: bool,
}

fn ways(retrieve: Retrieve) -> &'static str {
    match retrieve {
        Retrieve::Auto => "C-MOVE, or C-GET",
        Retrieve::Move => "C-MOVE",
        Retrieve::Get => "C-GET",
    }
}

fn limits(Limits { associations, rate }: Limits) -> String {
    let rate = rate.map_or("any rate".to_owned(), format_rate);
    match associations {
        0 => "closed at this hour".to_owned(),
        1 => format!("1 association, {rate}"),
        n => format!("{n} associations, {rate}"),
    }
}

fn rights(peer: &Peer) -> String {
    let rights: Vec<&str> = peer.allow.iter().map(|right| right.as_str()).collect();
    if rights.is_empty() { "C-ECHO only".to_owned() } else { rights.join(", ") }
}

async fn source_row(web: &Web, source: &Source) -> Result<SourceRow, Refused> {
    let sent = web.catalog.last_sent(&source.name).await?;
    Ok(SourceRow {
        name: source.name.clone(),
        ae_title: source.ae_title.to_string(),
        address: source.address.to_string(),
        calling: source.calling.to_string(),
        retrieve: ways(source.retrieve),
        limits: limits(source.limits_at(&jiff::Zoned::now())),
        tls: source.tls.is_some(),
        sent: sent.map_or("never".to_owned(), |at| local_time(at).chars().take(13).collect::<String>() + " h"),
    })
}

async fn show_page(web: &Web, signed: &Signed, tested: Option<Tested>) -> Result<Response, Refused> {
    let config = web.config.borrow().clone();
    let mut sources = Vec::new();
    for source in &config.sources {
        sources.push(source_row(web, source).await?);
    }
    let peer = |peer: &Peer| PeerRow {
        ae_title: peer.ae_title.to_string(),
        address: peer.address.to_string(),
        allow: rights(peer),
        corrections: peer.corrections,
        tls: peer.tls.is_some(),
    };
    Ok(page(&NodesPage {
        receiver: format!("{} at {}", config.receiver.ae_title, config.receiver.listen),
        receives: control::is_held(&web.catalog, RECEIVER_LEASE).await?,
        node: format!("{} at {}", config.node.ae_title, config.node.listen),
        sources,
        peers: config.peers.iter().map(peer).collect(),
        tested,
        may_operate: signed.operator.may(Privilege::Operate),
        frame: Frame::of(signed, "nodes"),
    }))
}

pub(super) async fn show(State(web): State<Arc<Web>>, Viewer(signed): Viewer) -> Result<Response, Refused> {
    show_page(&web, &signed, None).await
}

pub(super) async fn show_json(State(web): State<Arc<Web>>, _: Viewer) -> Result<Response, Refused> {
    let config = web.config.borrow().clone();
    let mut sources = Vec::new();
    for source in &config.sources {
        let Limits { associations, rate } = source.limits_at(&jiff::Zoned::now());
        sources.push(json!({
            "name": source.name, "ae_title": source.ae_title.as_str(), "address": source.address.to_string(),
            "calling": source.calling.as_str(), "tls": source.tls.is_some(), "associations": associations, "rate": rate,
            "last_sent": web.catalog.last_sent(&source.name).await?.and_then(crate::job::report::timestamp),
        }));
    }
    let peer = |peer: &Peer| {
        json!({
            "ae_title": peer.ae_title.as_str(), "address": peer.address.to_string(), "tls": peer.tls.is_some(),
            "allow": peer.allow.iter().map(|right| right.as_str()).collect::<Vec<_>>(),
            "corrections": peer.corrections,
        })
    };
    let peers: Value = config.peers.iter().map(peer).collect();
    let receiver = json!({
        "ae_title": config.receiver.ae_title.as_str(), "listen": config.receiver.listen,
        "running": control::is_held(&web.catalog, RECEIVER_LEASE).await?,
    });
    let node = json!({ "ae_title": config.node.ae_title.as_str(), "listen": config.node.listen });
    Ok(document(json!({ "receiver": receiver, "node": node, "sources": sources, "peers": peers })))
}

/// Tests the node that is meant.
async fn probe(web: &Web, Posted { signed, form }: &Posted<Test>) -> Result<Tested, Refused> {
    signed.must(Privilege::Operate)?;
    let busy = || {
        let remedy = "wait until one has ended";
        Refused::new(StatusCode::TOO_MANY_REQUESTS, "so many nodes are being tested already", remedy)
    };
    let _turn = TESTS.try_acquire().map_err(|_| busy())?;
    let config = web.config.borrow().clone();
    let probe = probed(web, &config, form).await?;
    let names = [&form.source, &form.peer].map(String::as_str).concat();
    tracing::info!(node = names, operator = signed.operator.name, ok = probe.ok(), "a node was tested");
    Ok(Tested::of(names, probe))
}

async fn probed(web: &Web, config: &Config, form: &Test) -> Result<Probe, Refused> {
    let none = |what: String| Refused::missing(what);
    if !form.source.is_empty() {
        let source = config.source(&form.source);
        let source = source.ok_or_else(|| none(format!("no [[source]] is called `{}`", form.source)))?;
        return Ok(Box::pin(probe::source(config, source, Some(web.catalog.clone()))).await);
    }
    let peer = config.peers.iter().find(|peer| peer.is_called(&form.peer));
    let peer = peer.ok_or_else(|| none(format!("no [[peer]] has the AE title `{}`", form.peer)))?;
    Ok(Box::pin(probe::peer(config, peer)).await)
}

pub(super) async fn test(State(web): State<Arc<Web>>, posted: Posted<Test>) -> Result<Response, Refused> {
    let tested = probe(&web, &posted).await?;
    show_page(&web, &posted.signed, Some(tested)).await
}

pub(super) async fn test_json(State(web): State<Arc<Web>>, posted: Posted<Test>) -> Result<Response, Refused> {
    let tested = probe(&web, &posted).await?;
    Ok(document(tested.probe.json()))
}

impl Tested {
    fn of(what: String, probe: Probe) -> Tested {
        let report = probe.report.as_ref();
        let implementation = report.map_or(String::new(), |report| {
            let name = report.implementation.as_deref().unwrap_or("unnamed");
            format!("implementation {name}, PDUs up to {} bytes", report.max_pdu)
        });
        let accepted =
            report.map(|report| report.accepted.iter().map(|(class, _)| service(class).to_owned()).collect());
        let refused = report.map(|report| report.rejected.iter().map(|class| service(class).to_owned()).collect());
        Tested {
            what,
            implementation,
            accepted: accepted.unwrap_or_default(),
            refused: refused.unwrap_or_default(),
            probe,
        }
    }

    /// What must be registered there, in sentences.
    fn register(&self) -> Vec<String> {
        let Some(Registration { ae_title, calling, host, port, pushes, .. }) = &self.probe.register else {
            return Vec::new();
        };
        let host = host.map_or("this machine's address".to_owned(), |host| host.to_string());
        let destination = pushes.then(|| format!("move destination: AE title {ae_title}, host {host}, port {port}"));
        let calling = format!("query and retrieve allowed for the calling AE title {calling} from {host}");
        destination.into_iter().chain([calling]).collect()
    }
}
