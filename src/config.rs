//! The one configuration file: found, read, checked, and from then on a value that cannot be wrong.
//!
//! [`load`] finds the file, [`parse`] reads a text. Both report every problem at once, each with the line, what is
//! wrong and what to write instead; a program that names one mistake per start costs a weekend.

mod address;
mod ai;
mod audit;
mod check;
mod console;
mod hours;
mod limits;
mod oidc;
mod passcode;
mod pictures;
mod priors;
mod privileges;
mod problem;
mod raw;
#[cfg(test)]
mod tests;
mod tls;
pub mod units;
mod values;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::dicom::AeTitle;

use address::is_from;

pub use address::HostPort;
pub use ai::{Ai, AiRule, AiTraits, HttpUrl, Pattern};
pub use audit::{Audit, Collector};
pub use console::{ADMINISTRATOR, Web};
pub use hours::{Hours, Limits, Minute};
pub use limits::NodeLimits;
pub use oidc::{GroupRole, Oidc};
pub use passcode::{LONGEST_PASSCODE, PasscodeHash};
pub use pictures::Pictures;
pub use priors::Priors;
pub use privileges::{Operator, OperatorError, Privilege, Role};
pub use problem::{ConfigError, Problem};
pub use tls::{CertificateRule, ClientTls, KeyPair, Login, ServerTls};

/// The annotated example; its active lines are the defaults.
pub const EXAMPLE: &str = include_str!("../conf/pacsferry.toml");

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it was read from; `None` when there is none and the defaults hold.
    pub path: Option<PathBuf>,
    /// Where objects and the catalog live.
    pub storage: Storage,
    /// What the hospital's nodes talk to.
    pub node: Node,
    /// What the old PACS sends to.
    pub receiver: Receiver,
    /// The archives to be migrated.
    pub sources: Vec<Source>,
    /// The nodes that may talk to us.
    pub peers: Vec<Peer>,
    /// When the studies of those who are expected are put first.
    pub priors: Vec<Priors>,
    /// The audit trail.
    pub audit: Audit,
    /// Moving series between studies.
    pub content: Content,
    /// Who may do what; none means: root and the owner of the catalog everything, others nothing.
    pub roles: Vec<Role>,
    /// The AI platform, if there is one.
    pub ai: Option<Ai>,
    /// The console.
    pub web: Web,
    /// Drawing pictures.
    pub pictures: Pictures,
}

/// `[storage]`. Relative paths are relative to the current directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// The storage folder, marked by a sentinel file.
    pub folder: PathBuf,
    /// The catalog's database file.
    pub catalog: PathBuf,
    /// Free bytes that filing leaves on the disk.
    pub minimum_free: u64,
}

/// `[node]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What the node is called.
    pub ae_title: AeTitle,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether studies that are not filed yet are shown and fetched.
    pub union: bool,
    /// How long a retrieve waits for a study of which nothing more comes.
    pub union_wait: Duration,
    /// Whether coded pixel data are decoded for receivers that take nothing else.
    pub decompress: bool,
    /// The most answers to a query; more end with a failure. `None` is no limit.
    pub find_limit: Option<usize>,
    /// How much may be asked of it at one time.
    pub limits: NodeLimits,
    /// Makes it a TLS port.
    pub tls: Option<ServerTls>,
}

/// `[receiver]`: the C-STORE SCP that sources send to.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// The move destination that is registered at the old PACS.
    pub ae_title: AeTitle,
    /// Where it listens.
    pub listen: SocketAddr,
    /// When a C-STORE of our own pull is answered.
    pub answer: AnswerPolicy,
    /// The most associations at one time, all sources together.
    pub max_associations: usize,
    /// The longest PDU that we announce, in bytes.
    pub max_pdu: u32,
    /// Makes it a TLS port.
    pub tls: Option<ServerTls>,
}

/// When a C-STORE request is answered with success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerPolicy {
    /// When the object is whole, for our own pulls; the source still has it.
    Received,
    /// When object, folder and catalog are synced.
    Durable,
}

/// `[[source]]`: an archive that is migrated, and how gently.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// What commands call it.
    pub name: String,
    /// Its AE title.
    pub ae_title: AeTitle,
    /// Where it listens.
    pub address: HostPort,
    /// The AE title that we call from; the receiver's unless told otherwise.
    pub calling: AeTitle,
    /// By which service objects are fetched.
    pub retrieve: Retrieve,
    /// The most associations that we open to it at one time.
    pub associations: usize,
    /// The most bytes per second, all associations together.
    pub rate: Option<u64>,
    /// Times with other limits; the first that fits holds.
    pub hours: Vec<Hours>,
    /// The number of answers at which its queries end, if known.
    pub find_limit: Option<usize>,
    /// What a study is proven by.
    pub verify: Verify,
    /// How long nothing must have arrived before a short study is judged.
    pub settle: Duration,
    /// The most attempts per study.
    pub attempts: u32,
    /// The pauses between attempts.
    pub retry: Retry,
    /// How long we wait for it.
    pub timeout: Timeouts,
    /// Where its sub-operations may come from; empty means: the address of the source.
    pub from: Vec<IpNet>,
    /// The addresses that its host name stands for, see [`Config::resolve`].
    pub addresses: Vec<IpAddr>,
    /// The Specific Character Set of answers and objects that name none.
    pub charset: Option<String>,
    /// Whether studies from here count as migrated by a cardiovascular system.
    pub cardiovascular: bool,
    /// We call it by TLS.
    pub tls: Option<Arc<ClientTls>>,
    /// Who we say we are when we call it.
    pub identity: Option<Arc<Login>>,
    /// The certificates that it may show when it calls a port that asks for one; empty is any of the `client_ca`.
    pub certificate: Vec<CertificateRule>,
}

/// By which service objects are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retrieve {
    /// C-MOVE, and C-GET when the source does not know the move destination.
    Auto,
    /// C-MOVE only.
    Move,
    /// C-GET only.
    Get,
}

/// What a study is proven by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// The SOP Instance UIDs that the source lists.
    Instances,
    /// The number of instances that the source states, for sources that cannot answer at IMAGE level.
    Count,
}

/// The pauses between the attempts at one study; they grow from the first to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

/// How long we wait for a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TCP connection and the negotiation.
    pub connect: Duration,
    /// Between two answers of a query.
    pub find: Duration,
    /// Between two signs of life of a retrieve.
    pub move_idle: Duration,
    /// For one retrieve as a whole.
    pub move_total: Duration,
}

/// `[[peer]]`: a node of the hospital.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Its AE title.
    pub ae_title: AeTitle,
    /// Where C-MOVE sends to.
    pub address: HostPort,
    /// What it may do.
    pub allow: Vec<Right>,
    /// Whether it is sent rejection notes and corrected objects, where it got what was corrected.
    pub corrections: bool,
    /// Where it may call from; empty means: its address.
    pub from: Vec<IpNet>,
    /// The addresses that its host name stands for, see [`Config::resolve`].
    pub addresses: Vec<IpAddr>,
    /// We call it by TLS.
    pub tls: Option<Arc<ClientTls>>,
    /// Who we say we are when we call it.
    pub identity: Option<Arc<Login>>,
    /// The certificates that it may show where one is asked for; empty means: one that names its AE title or its host.
    pub certificate: Vec<CertificateRule>,
    /// The user that it must name when it calls.
    pub user: Option<String>,
    /// What the passcode of that user is checked against.
    pub passcode_hash: Option<PasscodeHash>,
}

/// What a peer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// C-FIND.
    Query,
    /// C-MOVE and C-GET.
    Retrieve,
    /// C-STORE.
    Store,
    /// Storage commitment.
    Commit,
}

/// `[content]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Whether corrections give new UIDs and are told to others by IHE IOCM rejection notes, unless an operation says
    /// otherwise.
    pub iocm: bool,
}

impl Right {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Right::Query => "query",
            Right::Retrieve => "retrieve",
            Right::Store => "store",
            Right::Commit => "commit",
        }
    }
}

impl Peer {
    /// Whether this is its AE title, whatever the case.
    pub fn is_called(&self, ae_title: &str) -> bool {
        self.ae_title.as_str().eq_ignore_ascii_case(ae_title)
    }

    /// Whether it may call from there.
    pub fn may_call_from(&self, address: IpAddr) -> bool {
        is_from(address, &self.from, &self.address, &self.addresses)
    }
}

impl Source {
    /// The limits that hold at this time. `associations` = 0 means that the source is closed now.
    pub fn limits_at(&self, now: &jiff::Zoned) -> Limits {
        hours::limits_at(&self.hours, Limits { associations: self.associations, rate: self.rate }, now)
    }

    /// Whether sub-operations of this source may come from there.
    pub fn may_send_from(&self, address: IpAddr) -> bool {
        is_from(address, &self.from, &self.address, &self.addresses)
    }
}

impl Config {
    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|s| s.name == name)
    }

    /// The first source whose objects may come from this address.
    pub fn source_of_address(&self, address: IpAddr) -> Option<&Source> {
        self.sources.iter().find(|s| s.may_send_from(address))
    }

    /// Looks up the host names of sources and peers that have no `from`, so that they are recognised by address. Blocks
    /// on the resolver; whoever listens calls it. Returns what could not be looked up.
    pub fn resolve(&mut self) -> Vec<Problem> {
        let sources = self.sources.iter_mut().map(|source| {
            (format!("source.{}.address", source.name), &source.address, &source.from, &mut source.addresses)
        });
        let peers = self
            .peers
            .iter_mut()
            .map(|peer| (format!("peer.{}.address", peer.ae_title), &peer.address, &peer.from, &mut peer.addresses));
        let mut problems = Vec::new();
        for (where_, address, from, addresses) in sources.chain(peers) {
            if !from.is_empty() || address.host.parse::<IpAddr>().is_ok() {
                continue;
            }
            match (address.host.as_str(), address.port).to_socket_addrs() {
                Ok(found) => *addresses = found.map(|a| a.ip().to_canonical()).collect(),
                Err(error) => problems.push(Problem {
                    where_,
                    message: format!("the host `{}` cannot be looked up: {error}", address.host),
                    remedy: "write its IP address, or mend the name service of this machine".into(),
                }),
            }
        }
        problems
    }
}

/// Finds, reads and checks the configuration: `explicit`, then `PACSFERRY_CONFIG`, then `./pacsferry.toml`, then
/// `/etc/pacsferry/pacsferry.toml`; without any of these, the defaults. A file that was named must exist.
pub fn load(explicit: Option<&Path>) -> Result<Config, ConfigError> {
    let named = explicit
        .map(Path::to_path_buf)
        .or_else(|| std::env::var_os("PACSFERRY_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from));
    let path = named.or_else(|| {
        ["pacsferry.toml", "/etc/pacsferry/pacsferry.toml"].into_iter().map(PathBuf::from).find(|p| p.exists())
    });
    match path {
        None => parse("", None),
        Some(path) => {
            let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::unreadable(&path, &error))?;
            parse(&text, Some(&path))
        }
    }
}

/// Reads and checks a text. `path` is only for the messages and for [`Config::path`].
pub fn parse(text: &str, path: Option<&Path>) -> Result<Config, ConfigError> {
    let document = raw::Document::new(text);
    let config = check::config(&document, path);
    let problems = document.into_problems();
    if problems.is_empty() { Ok(config) } else { Err(ConfigError::new(path, problems)) }
}
