//! From the file to the checked value, with the defaults. Pure; every mistake is reported, none ends the reading.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::privileges;
use super::raw::{Document, Section};
use super::tls;
use super::units::{parse_bytes, parse_duration, parse_rate};
use super::values::{
    ae_title, choice, count, host_port, known_title, listen, network, non_empty, positive, source_name,
};
use super::{
    AnswerPolicy, Config, Content, HostPort, Hours, Minute, Node, NodeLimits, Peer, Receiver, Retrieve, Retry, Right,
    Source, Storage, Timeouts, Verify,
};

/// Reads everything. The result is only of use when the document has no problems.
pub(super) fn config(document: &Document<'_>, path: Option<&Path>) -> Config {
    let root = document.root();
    let receiver = receiver(root.section("receiver"));
    let node = node(root.section("node"), &root, &receiver);
    let peer = |s: Section<'_>| peer(s, &node);
    let peers: Vec<Peer> = root.sections("peer").into_iter().filter_map(peer).collect();
    let roles = privileges::roles(root.sections("role"));
    let sources = sources(root.sections("source"), &receiver, &node);
    let config = Config {
        path: path.map(Path::to_path_buf),
        storage: storage(root.section("storage")),
        priors: super::priors::priors(root.sections("priors"), &sources),
        sources,
        node,
        receiver,
        peers,
        audit: super::audit::audit(root.section("audit")),
        content: content(root.section("content")),
        ai: root.table("ai").and_then(super::ai::ai),
        web: super::console::web(root.section("web"), &roles),
        roles,
        pictures: super::pictures::pictures(root.section("pictures")),
    };
    root.finish();
    config
}

fn storage(s: Section<'_>) -> Storage {
    let file = |text: &str| {
        let path = text.strip_prefix("sqlite:").unwrap_or(text);
        if path.is_empty()
            || path.contains("://")
            || (path == text && path.split_once(':').is_some_and(|(scheme, _)| scheme.len() > 1))
        {
            return Err(format!("`{}` is no catalog; write \"sqlite:\" and a path", text.escape_default()));
        }
        Ok(PathBuf::from(path))
    };
    let storage = Storage {
        folder: s.text("folder", non_empty).map_or_else(|| "pacsferry-data/images".into(), PathBuf::from),
        catalog: s.text("catalog", file).unwrap_or_else(|| "pacsferry-data/catalog.db".into()),
        minimum_free: s.text("minimum_free", parse_bytes).unwrap_or(5 << 30),
    };
    if storage.catalog.starts_with(&storage.folder) {
        s.problem(
            "catalog",
            "the catalog lies inside the storage folder",
            "keep the two apart: the storage folder holds objects only",
        );
    }
    s.finish();
    storage
}

fn node(s: Section<'_>, root: &Section<'_>, receiver: &Receiver) -> Node {
    let node = Node {
        ae_title: s.text("ae_title", ae_title).unwrap_or_else(|| known_title("PACSFERRY")),
        listen: s.text("listen", listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 11112))),
        union: s.flag("union").unwrap_or(false),
        union_wait: s.text("union_wait", positive).unwrap_or(Duration::from_secs(10 * 60)),
        decompress: s.flag("decompress").unwrap_or(true),
        find_limit: count(s.number("find_limit", 1..=100_000_000)),
        limits: NodeLimits::read(&s.section("limits")),
        tls: tls::server(&s),
    };
    if !node.listen.ip().is_loopback() && !root.has("peer") {
        s.problem(
            "listen",
            "the node would listen beyond this machine, and there is no [[peer]] that may talk to it",
            "add a [[peer]], or listen on 127.0.0.1",
        );
    }
    if node.listen.port() != 0 && node.listen.port() == receiver.listen.port() {
        s.problem("listen", "node and receiver would listen on the same port", "give each a port of its own");
    }
    s.finish();
    node
}

fn receiver(s: Section<'_>) -> Receiver {
    let answer = |text: &str| choice(text, &[("received", AnswerPolicy::Received), ("durable", AnswerPolicy::Durable)]);
    let receiver = Receiver {
        ae_title: s.text("ae_title", ae_title).unwrap_or_else(|| known_title("FERRY_RX")),
        listen: s.text("listen", listen).unwrap_or(SocketAddr::from(([0, 0, 0, 0], 11113))),
        answer: s.text("answer", answer).unwrap_or(AnswerPolicy::Received),
        max_associations: count(s.number("max_associations", 1..=1000)).unwrap_or(100),
        max_pdu: s.number("max_pdu", 4096..=1_048_576).and_then(|n| u32::try_from(n).ok()).unwrap_or(131_072),
        tls: tls::server(&s),
    };
    s.finish();
    receiver
}

fn sources(sections: Vec<Section<'_>>, receiver: &Receiver, node: &Node) -> Vec<Source> {
    let mut names: Vec<String> = Vec::new();
    let mut sources = Vec::new();
    for mut s in sections {
        let name = s.text("name", source_name);
        s.require("name", "\"oldpacs\"");
        if let Some(name) = &name {
            s.rename(format!("source.{name}"));
            if names.contains(name) {
                s.problem("name", format!("two sources are called `{name}`"), "give each its own name");
            }
            names.push(name.clone());
        }
        sources.extend(source(s, name.unwrap_or_default(), receiver, node));
    }
    sources
}

fn source(s: Section<'_>, name: String, receiver: &Receiver, node: &Node) -> Option<Source> {
    let title = s.text("ae_title", ae_title);
    let address = s.text("address", host_port);
    s.require("ae_title", "\"OLDPACS\"");
    s.require("address", "\"10.1.2.3:104\"");
    let retrieve =
        |text: &str| choice(text, &[("auto", Retrieve::Auto), ("move", Retrieve::Move), ("get", Retrieve::Get)]);
    let verify = |text: &str| choice(text, &[("instances", Verify::Instances), ("count", Verify::Count)]);
    let source = Source {
        name,
        ae_title: title.clone().unwrap_or_else(|| receiver.ae_title.clone()),
        address: address.clone().unwrap_or(HostPort { host: String::new(), port: 0 }),
        calling: s.text("calling", ae_title).unwrap_or_else(|| receiver.ae_title.clone()),
        retrieve: s.text("retrieve", retrieve).unwrap_or(Retrieve::Auto),
        associations: count(s.number("associations", 1..=64)).unwrap_or(4),
        rate: s.text("rate", parse_rate),
        hours: s.sections("hours").into_iter().filter_map(hours).collect(),
        find_limit: count(s.number("find_limit", 1..=10_000_000)),
        verify: s.text("verify", verify).unwrap_or(Verify::Instances),
        settle: s.text("settle", parse_duration).unwrap_or(Duration::from_secs(10)),
        attempts: s.number("attempts", 1..=100).and_then(|n| u32::try_from(n).ok()).unwrap_or(5),
        retry: retry(s.section("retry")),
        timeout: timeouts(s.section("timeout")),
        from: s.texts("from", network).unwrap_or_default(),
        addresses: Vec::new(),
        charset: s.text("charset", non_empty),
        cardiovascular: s.flag("cardiovascular").unwrap_or(false),
        tls: tls::client(&s, receiver.tls.as_ref().or(node.tls.as_ref())),
        identity: tls::login(&s),
        certificate: tls::rules(&s),
    };
    tls::check_asked(&s, &source.certificate, &[("[receiver]", receiver.tls.as_ref()), ("[node]", node.tls.as_ref())]);
    s.finish();
    (title.is_some() && address.is_some()).then_some(source)
}

fn hours(s: Section<'_>) -> Option<Hours> {
    let hours = Hours {
        days: s.text("days", super::hours::parse_days).unwrap_or([true; 7]),
        from: s.text("from", Minute::parse).unwrap_or(Minute::MIDNIGHT),
        to: s.text("to", Minute::parse).unwrap_or(Minute::END),
        associations: count(s.number("associations", 0..=64)),
        rate: s.text("rate", parse_rate),
    };
    s.finish();
    // What follows from another mistake is none of its own.
    let sound = s.is_sound();
    if sound && hours.from == hours.to {
        s.problem("to", "the span ends where it begins", "for the whole day write from = \"00:00\", to = \"24:00\"");
    }
    if sound && hours.associations.is_none() && hours.rate.is_none() {
        s.problem(
            "associations",
            "the span changes nothing",
            "give it `associations` (0 closes the source), `rate`, or both",
        );
    }
    Some(hours)
}

fn retry(s: Section<'_>) -> Retry {
    let first = s.text("first", positive);
    let longest = s.text("longest", positive);
    let retry =
        Retry { first: first.unwrap_or(Duration::from_secs(5)), longest: longest.unwrap_or(Duration::from_secs(900)) };
    if retry.first > retry.longest {
        s.problem(
            "longest",
            "the longest pause is shorter than the first",
            "make `longest` at least as long as `first`",
        );
    }
    s.finish();
    retry
}

fn timeouts(s: Section<'_>) -> Timeouts {
    let timeouts = Timeouts {
        connect: s.text("connect", positive).unwrap_or(Duration::from_secs(10)),
        find: s.text("find", positive).unwrap_or(Duration::from_secs(60)),
        move_idle: s.text("move_idle", positive).unwrap_or(Duration::from_secs(30 * 60)),
        move_total: s.text("move_total", positive).unwrap_or(Duration::from_secs(12 * 3600)),
    };
    if timeouts.move_idle > timeouts.move_total {
        s.problem("move_total", "`move_total` is shorter than `move_idle`", "make it at least as long");
    }
    s.finish();
    timeouts
}

fn peer(s: Section<'_>, node: &Node) -> Option<Peer> {
    let title = s.text("ae_title", ae_title);
    let address = s.text("address", host_port);
    s.require("ae_title", "\"WORKSTATION1\"");
    s.require("address", "\"10.1.2.20:11112\"");
    let right = |text: &str| {
        choice(
            text,
            &[
                ("query", Right::Query),
                ("retrieve", Right::Retrieve),
                ("store", Right::Store),
                ("commit", Right::Commit),
            ],
        )
    };
    let allow = s.texts("allow", right).unwrap_or_default();
    let corrections = s.flag("corrections").unwrap_or(false);
    let from = s.texts("from", network).unwrap_or_default();
    let tls = tls::client(&s, node.tls.as_ref());
    let identity = tls::login(&s);
    let certificate = tls::rules(&s);
    tls::check_asked(&s, &certificate, &[("[node]", node.tls.as_ref())]);
    let (user, passcode_hash) = tls::demand(&s, node);
    s.finish();
    let (ae_title, address) = (title?, address?);
    let addresses = Vec::new();
    Some(Peer {
        ae_title,
        address,
        allow,
        corrections,
        from,
        addresses,
        tls,
        identity,
        certificate,
        user,
        passcode_hash,
    })
}

fn content(s: Section<'_>) -> Content {
    let content = Content { iocm: s.flag("iocm").unwrap_or(false) };
    s.finish();
    content
}
