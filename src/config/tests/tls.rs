//! `tls`, `certificate`, `identity` and users.

use super::super::*;
use super::{SOURCE, one, problems};

const PEER: &str = "[[peer]]\nae_title = \"X\"\naddress = \"h:1\"\n";
const NODE: &str = "[node]\ntls = { cert = \"n.pem\", key = \"n.key\", client_ca = \"ca.pem\" }\n";
const HASH: &str = "pbkdf2-sha256:600000:000102030405060708090a0b0c0d0e0f:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn pair(name: &str) -> KeyPair {
    KeyPair { cert: format!("{name}.pem").into(), key: format!("{name}.key").into() }
}

#[test]
fn whom_we_call_is_shown_its_own_certificate_or_that_of_our_port() {
    let text = format!(
        "{NODE}{PEER}tls = {{ ca = \"ca.pem\" }}\n{SOURCE}tls = {{ ca = \"old.pem\", cert = \"o.pem\", key = \"o.key\", name = \"pacs\" }}\nidentity = {{ user = \"me\", passcode_file = \"secret\" }}\n"
    );
    let config = parse(&text, None).unwrap();
    assert_eq!(config.node.tls, Some(ServerTls { own: pair("n"), client_ca: Some("ca.pem".into()) }));
    assert_eq!(config.receiver.tls, None);
    let peer = ClientTls { ca: "ca.pem".into(), own: Some(pair("n")), name: None };
    assert_eq!(config.peers[0].tls.as_deref(), Some(&peer));
    let source = ClientTls { ca: "old.pem".into(), own: Some(pair("o")), name: Some("pacs".into()) };
    assert_eq!(config.sources[0].tls.as_deref(), Some(&source));
    let login = Login { user: "me".into(), passcode_file: Some("secret".into()) };
    assert_eq!(config.sources[0].identity.as_deref(), Some(&login));
    let files: Vec<String> = config.secret_files().iter().map(|path| path.display().to_string()).collect();
    assert_eq!(files, ["ca.pem", "n.key", "n.pem", "o.key", "o.pem", "old.pem", "secret"]);
}

#[test]
fn what_a_peer_must_prove_is_read_with_it() {
    let digits = "0a:".repeat(31) + "0B";
    let text = format!(
        "{PEER}certificate = [\"ws.example\", \"sha256:{digits}\"]\nuser = \"ws\"\npasscode_hash = \"{HASH}\"\n{NODE}"
    );
    let config = parse(&text, None).unwrap();
    let mut fingerprint = [10; 32];
    fingerprint[31] = 11;
    let rules = vec![CertificateRule::Name("ws.example".into()), CertificateRule::Fingerprint(fingerprint)];
    assert_eq!(config.peers[0].certificate, rules);
    assert_eq!(config.peers[0].user.as_deref(), Some("ws"));
    assert!(config.peers[0].passcode_hash.is_some());
    assert!(!format!("{config:?}").contains("0c0d0e0f"), "the hash is in no log");
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let user = one(&format!("{PEER}user = \"ws\""));
    assert!(user.contains("only asked for over TLS") && user.contains("give [node] `tls`"), "{user}");
    assert!(one(&format!("{NODE}{PEER}passcode_hash = \"{HASH}\"")).contains("add `user`"));
    assert!(one(&format!("{NODE}{PEER}user = \"ws\"\npasscode_hash = \"secret\"")).contains("`pacsferry passcode`"));
    assert!(one(&format!("{PEER}certificate = [\"ws\"]")).contains("[node] has no `tls` with `client_ca`"));
    let without_ca = "[node]\ntls = { cert = \"n.pem\", key = \"n.key\" }\n";
    assert!(one(&format!("{without_ca}{PEER}certificate = [\"ws\"]")).contains("no certificate will be asked for"));
    assert!(one(&format!("{SOURCE}certificate = [\"ws\"]")).contains("[receiver] or [node]"));
    assert!(one(&format!("{SOURCE}identity = {{ user = \"me\" }}")).contains("over TLS only"));
    assert!(one(&format!("{NODE}{PEER}certificate = [\"*.example\"]")).contains("no name of one machine"));
    assert!(one(&format!("{NODE}{PEER}certificate = [\"SHA256:0102\"]")).contains("openssl x509"));
    assert_eq!(problems(&format!("{NODE}{SOURCE}certificate = [\"ws\"]")), Vec::<String>::new());
}

#[test]
fn half_a_key_pair_is_refused() {
    assert!(one("[node]\ntls = { cert = \"n.pem\" }").contains("`key` is missing"));
    assert!(one("[receiver]\ntls = { key = \"n.key\" }").contains("`cert` is missing"));
    assert!(one(&format!("{SOURCE}tls = {{ cert = \"n.pem\", key = \"n.key\" }}")).contains("`ca` is missing"));
    assert!(one(&format!("{SOURCE}tls = {{ ca = \"c\", key = \"n.key\" }}")).contains("there is only one"));
    assert!(one("[node]\ntls = { cert = \"a\", key = \"b\", ca = \"c\" }").contains("cert, key, client_ca"));
    assert!(one("[node]\ntls = \"yes\"").contains("write a table"));
}
