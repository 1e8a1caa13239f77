//! Transport security and identities as they are configured: files, names and rules. No file is opened here.

use std::path::PathBuf;
use std::sync::Arc;

use super::passcode::PasscodeHash;
use super::raw::Section;
use super::values::non_empty;
use super::{Config, Node, Peer, Receiver, Source};

/// The longest user name, in bytes.
const LONGEST_USER: usize = 128;

/// A certificate (or a chain, its own first) and its private key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// `tls` of a port that we listen on: it speaks nothing but TLS then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// Who we are.
    pub own: KeyPair,
    /// Whose certificates callers must show; without it they need none.
    pub client_ca: Option<PathBuf>,
}

/// `tls` of somebody whom we call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// Whose certificate the other side must show.
    pub ca: PathBuf,
    /// What we show when we are asked.
    pub own: Option<KeyPair>,
    /// The name that must stand in the certificate, when it is not the host of the address.
    pub name: Option<String>,
}

/// Which certificate belongs to an AE title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateRule {
    /// The SHA-256 of the certificate: this very one.
    Fingerprint([u8; 32]),
    /// The common name of its subject, or a name or address of its subject alternative names; case does not matter.
    Name(String),
}

/// What we say who we are, in the user identity of an association that we open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The file with the passcode; without it only the name is told.
    pub passcode_file: Option<PathBuf>,
}

impl CertificateRule {
    /// `SHA256:` and 64 hexadecimal digits, with or without colons, or a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = non_empty(text)?;
        let Some(digits) = text.get(..7).filter(|p| p.eq_ignore_ascii_case("SHA256:")).and_then(|_| text.get(7..))
        else {
            return match text.contains(['*', '@']) {
                true => Err(format!(
                    "`{}` is no name of one machine; write its whole name, or SHA256: and the fingerprint",
                    text.escape_default()
                )),
                false => Ok(CertificateRule::Name(text)),
            };
        };
        let digits: String = digits.chars().filter(|c| *c != ':').collect();
        let wrong = || {
            "the fingerprint is not 64 hexadecimal digits; `openssl x509 -noout -fingerprint -sha256 -in FILE` shows it"
                .to_owned()
        };
        let bytes = super::passcode::from_hex(&digits).ok_or_else(wrong)?;
        bytes.try_into().map(CertificateRule::Fingerprint).map_err(|_| wrong())
    }
}

/// `tls` of [node] and [receiver].
pub(super) fn server(parent: &Section<'_>) -> Option<ServerTls> {
    let s = parent.table("tls")?;
    let (cert, key) = (s.text("cert", file), s.text("key", file));
    let client_ca = s.text("client_ca", file);
    s.require("cert", "\"/etc/pacsferry/cert.pem\"");
    s.require("key", "\"/etc/pacsferry/key.pem\"");
    s.finish();
    Some(ServerTls { own: KeyPair { cert: cert?, key: key? }, client_ca })
}

/// `tls` of a source or a peer, as whom `default` is shown.
pub(super) fn client(parent: &Section<'_>, default: Option<&ServerTls>) -> Option<Arc<ClientTls>> {
    let s = parent.table("tls")?;
    let ca = s.text("ca", file);
    let own = match (s.text("cert", file), s.text("key", file)) {
        (Some(cert), Some(key)) => Some(KeyPair { cert, key }),
        (None, None) => default.map(|tls| tls.own.clone()),
        _ => {
            let remedy = "write both, or none to show the certificate that we have as a server";
            s.problem("cert", "of `cert` and `key` there is only one", remedy);
            None
        }
    };
    let name = s.text("name", non_empty);
    s.require("ca", "\"/etc/pacsferry/hospital-ca.pem\"");
    s.finish();
    Some(Arc::new(ClientTls { ca: ca?, own, name }))
}

/// `identity` of a source or a peer.
pub(super) fn login(parent: &Section<'_>) -> Option<Arc<Login>> {
    let s = parent.table("identity")?;
    let user = s.text("user", user);
    let passcode_file = s.text("passcode_file", file);
    s.require("user", "\"pacsferry\"");
    s.finish();
    if !parent.has("tls") {
        let remedy = "give the section `tls`, or leave `identity` out";
        parent.problem("identity", "a user identity goes over TLS only", remedy);
    }
    Some(Arc::new(Login { user: user?, passcode_file }))
}

/// `certificate`.
pub(super) fn rules(parent: &Section<'_>) -> Vec<CertificateRule> {
    parent.texts("certificate", CertificateRule::parse).unwrap_or_default()
}

/// `user` and `passcode_hash` of a peer.
pub(super) fn demand(s: &Section<'_>, node: &Node) -> (Option<String>, Option<PasscodeHash>) {
    let (user, hash) = (s.text("user", user), s.text("passcode_hash", PasscodeHash::parse));
    if s.has("passcode_hash") && !s.has("user") {
        s.problem("passcode_hash", "there is a passcode, but no user whom it belongs to", "add `user`");
    }
    if s.has("user") && node.tls.is_none() {
        let remedy = "give [node] `tls`, or leave `user` out";
        s.problem("user", "users are only asked for over TLS, which [node] does not speak", remedy);
    }
    (user, hash)
}

/// Reports certificates that nobody will ask for.
pub(super) fn check_asked(s: &Section<'_>, rules: &[CertificateRule], ports: &[(&str, Option<&ServerTls>)]) {
    let asked = ports.iter().any(|(_, tls)| tls.is_some_and(|tls| tls.client_ca.is_some()));
    if !rules.is_empty() && !asked {
        let names: Vec<&str> = ports.iter().map(|(name, _)| *name).collect();
        let names = names.join(" or ");
        let message = format!("no certificate will be asked for: {names} has no `tls` with `client_ca`");
        s.problem("certificate", message, format!("give {names} a `tls` with `client_ca`, or leave this out"));
    }
}

fn user(text: &str) -> Result<String, String> {
    match non_empty(text)? {
        text if text.len() > LONGEST_USER || text.chars().any(char::is_control) => {
            Err(format!("the user name is not printable text of {LONGEST_USER} bytes at most; write a shorter one"))
        }
        text => Ok(text),
    }
}

fn file(text: &str) -> Result<PathBuf, String> {
    non_empty(text).map(PathBuf::from)
}

impl Config {
    /// Every file of certificates, keys and passcodes that the configuration names, each once.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let Config { node: Node { tls: node, .. }, receiver: Receiver { tls: receiver, .. }, .. } = self;
        let mut files: Vec<PathBuf> = Vec::new();
        let pair = |own: &KeyPair| [own.cert.clone(), own.key.clone()];
        for tls in [node, receiver].into_iter().flatten() {
            files.extend(pair(&tls.own).into_iter().chain(tls.client_ca.clone()));
        }
        let of_source = |source: &Source| (source.tls.clone(), source.identity.clone());
        let of_peer = |peer: &Peer| (peer.tls.clone(), peer.identity.clone());
        for (tls, identity) in self.sources.iter().map(of_source).chain(self.peers.iter().map(of_peer)) {
            if let Some(tls) = tls {
                files.push(tls.ca.clone());
                files.extend(tls.own.iter().flat_map(pair));
            }
            files.extend(identity.and_then(|login| login.passcode_file.clone()));
        }
        let ai = self.ai.as_ref();
        if let Some(tls) = ai.and_then(|ai| ai.tls.as_ref()) {
            files.push(tls.ca.clone());
            files.extend(tls.own.iter().flat_map(pair));
        }
        files.extend(ai.and_then(|ai| ai.token_file.clone()));
        let oidc = self.web.oidc.as_ref();
        if let Some(tls) = oidc.and_then(|oidc| oidc.tls.as_ref()) {
            files.push(tls.ca.clone());
            files.extend(tls.own.iter().flat_map(pair));
        }
        files.extend(oidc.and_then(|oidc| oidc.secret_file.clone()));
        files.sort();
        files.dedup();
        files
    }
}
