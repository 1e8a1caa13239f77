//! Associations over TLS between the two sides of our own; with other implementations in `tests/it/tls.rs`.
#![expect(clippy::disallowed_methods, reason = "files of the test, in a folder of its own")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::pdu::Passcode;
use super::super::tests::{CT, SOON, policy, storage_only, usual};
use super::super::*;
use super::testing::{Authority, NOW, Span};
use super::*;
use crate::config::{CertificateRule, Config, HostPort, KeyPair, PasscodeHash};

const EXPIRED: Span = Span(-30, -1);

type Both = (Result<Association, AssocError>, Result<Association, AssocError>);

/// Asks for an association and accepts it.
async fn negotiate(proposal: &Proposal, policy: &AcceptPolicy) -> Both {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let timeouts = RequestTimeouts { connect: SOON, negotiate: SOON };
    tokio::join!(super::super::request("127.0.0.1", port, proposal, &timeouts), async {
        super::super::accept(listener.accept().await.unwrap().0, policy).await
    })
}

fn calling(tls: ClientTls) -> Proposal {
    Proposal { tls: Some(Arc::new(tls)), ..usual() }
}

fn port(tls: &ServerTls) -> AcceptPolicy {
    AcceptPolicy { tls: Some(Acceptor::load(tls).unwrap()), ..storage_only() }
}

fn handshake(result: Result<Association, AssocError>) -> String {
    match result {
        Err(error @ AssocError::Handshake { .. }) => format!("{error} -> {}", error.remedy().unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_sides_know_each_other_and_a_long_message_arrives_whole() {
    let authority = Authority::new();
    let (here, there) = (authority.issue("here", NOW), authority.issue("there", NOW));
    let seen: Arc<Mutex<Option<Offer>>> = Arc::default();
    let note = Arc::clone(&seen);
    let choosing = policy(move |offer| {
        *note.lock().unwrap() = Some(offer.clone());
        Decision::Accept(Box::new(|offered| offered.accept()))
    });
    let policy = AcceptPolicy { tls: Some(Acceptor::load(&authority.server(there)).unwrap()), ..choosing };
    let (ours, theirs) = negotiate(&calling(authority.client(Some(here))), &policy).await;
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());

    let offer = seen.lock().unwrap().take().unwrap();
    assert_eq!(offer.security, theirs.peer().security);
    let certificate = offer.security.unwrap().certificate.clone().unwrap();
    assert_eq!(certificate.names, ["here", "here.example", "127.0.0.1"]);
    assert_eq!(certificate.subject, "CN=here");
    assert!(certificate.fits(&CertificateRule::Name("HERE.example".into())));
    assert!(certificate.fits(&CertificateRule::parse(&certificate.fingerprint_text()).unwrap()));
    assert!(!certificate.fits(&CertificateRule::Name("there".into())));
    assert!(!certificate.fits(&CertificateRule::Fingerprint([0; 32])));
    let security = ours.peer().security.clone().unwrap();
    assert_eq!(security.version, "TLSv1_3");
    assert_eq!(security.certificate.as_ref().unwrap().names[0], "there");

    let object: Vec<u8> = (0..3_000_001_u32).map(|n| n.to_le_bytes()[0]).collect();
    let context = ours.context_for(CT).unwrap().id;
    let sending = async {
        ours.send(context, b"command.", Some(&object), SOON).await.unwrap();
        ours.release(SOON).await;
    };
    let receiving = async {
        let mut data = Vec::new();
        while let Received::Pdv { command, data: part, .. } = theirs.receive(SOON).await.unwrap() {
            if !command {
                data.extend_from_slice(&part);
            }
        }
        data
    };
    let ((), mut data) = tokio::join!(sending, receiving);
    assert_eq!(data.pop(), Some(0), "the odd byte is padded");
    assert!(data == object);
}

#[tokio::test]
async fn an_association_that_is_dropped_is_aborted_over_tls_too() {
    let authority = Authority::new();
    let own = authority.issue("node", NOW);
    let policy = port(&ServerTls { own, client_ca: None });
    let (ours, theirs) = negotiate(&calling(authority.client(None)), &policy).await;
    assert_eq!(theirs.as_ref().unwrap().peer().security.as_ref().unwrap().certificate, None);
    drop(ours.unwrap());
    let ended = theirs.unwrap().receive(SOON).await;
    assert!(matches!(ended, Err(AssocError::Aborted { by_provider: false, .. })), "{ended:?}");
}

#[tokio::test]
async fn certificates_that_are_not_good_are_refused_with_a_remedy() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let node = authority.issue("node", NOW);
    let good = port(&authority.server(node));
    for (own, why) in [
        (None, "showed no certificate"),
        (Some(stranger.issue("x", NOW)), "signed by nobody whom we trust"),
        (Some(authority.issue("old", EXPIRED)), "has expired"),
        (Some(authority.issue("soon", Span(5, 10))), "does not hold yet"),
        (Some(stranger.by_itself("self", NOW)), "signed by nobody whom we trust"),
    ] {
        let (ours, theirs) = negotiate(&calling(authority.client(own)), &good).await;
        let said = handshake(theirs);
        assert!(said.contains(why) && !said.ends_with("-> "), "{said}");
        // With TLS 1.3 a client may learn of it only when it reads.
        let error = ours.expect_err(why);
        assert!(error.remedy().is_some() || matches!(error, AssocError::Broken { .. } | AssocError::Closed), "{error}");
    }
    for (own, why) in [
        (stranger.issue("node", NOW), "signed by nobody whom we trust"),
        (authority.issue("node", EXPIRED), "has expired"),
    ] {
        let (ours, _) = negotiate(&calling(authority.client(None)), &port(&ServerTls { own, client_ca: None })).await;
        let said = handshake(ours);
        assert!(said.contains(why), "{said}");
    }
    // The right certificate of the wrong machine.
    let node = port(&ServerTls { own: authority.issue("node", NOW), client_ca: None });
    for (name, good) in [("node.example", true), ("127.0.0.1", true), ("other.example", false)] {
        let tls = ClientTls { name: Some(name.into()), ..authority.client(None) };
        let (ours, _) = negotiate(&calling(tls), &node).await;
        match good {
            true => drop(ours.unwrap()),
            false => assert!(handshake(ours).contains("of another machine")),
        }
    }
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_trusted_where_it_stands_in_the_file() {
    let authority = Authority::new();
    let (device, node) = (authority.by_itself("device", NOW), authority.by_itself("node", NOW));
    let server = ServerTls { own: node.clone(), client_ca: Some(device.cert.clone()) };
    let client = ClientTls { ca: node.cert.clone(), own: Some(device.clone()), name: Some("anything".into()) };
    let (ours, theirs) = negotiate(&calling(client.clone()), &port(&server)).await;
    assert_eq!(theirs.unwrap().peer().security.as_ref().unwrap().certificate.as_ref().unwrap().names[0], "device");
    drop(ours.unwrap());
    // Not while it does not hold.
    let old = authority.by_itself("old", EXPIRED);
    let client = ClientTls { own: Some(old.clone()), ..client };
    let (_, theirs) = negotiate(&calling(client), &port(&ServerTls { client_ca: Some(old.cert), ..server })).await;
    assert!(handshake(theirs).contains("has expired"));
}

#[tokio::test]
async fn plain_dicom_on_a_tls_port_and_tls_on_a_plain_port_are_named() {
    let authority = Authority::new();
    let secure = port(&ServerTls { own: authority.issue("node", NOW), client_ca: None });
    let (ours, theirs) = negotiate(&usual(), &secure).await;
    let theirs = theirs.unwrap_err();
    assert!(matches!(theirs, AssocError::PlainOnTls { what: "an A-ASSOCIATE-RQ" }), "{theirs}");
    assert!(theirs.remedy().unwrap().contains("`tls`"));
    assert!(matches!(ours, Err(AssocError::Aborted { by_provider: true, .. })), "{ours:?}");

    let (ours, theirs) = negotiate(&calling(authority.client(None)), &storage_only()).await;
    let theirs = theirs.unwrap_err();
    assert!(matches!(theirs, AssocError::TlsOnPlain) && theirs.remedy().unwrap().contains("`tls`"), "{theirs}");
    assert!(handshake(ours).contains("does not speak TLS on this port"));

    // A TLS server that is called in plain text ends it with an alert.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().port();
    let timeouts = RequestTimeouts { connect: SOON, negotiate: SOON };
    let (proposal, alert) = (usual(), [0x15, 3, 3, 0, 2, 2, 70]);
    let (ours, ()) = tokio::join!(super::super::request("127.0.0.1", at, &proposal, &timeouts), async {
        let mut socket = listener.accept().await.unwrap().0;
        let mut begun = [0; 6];
        socket.read_exact(&mut begun).await.unwrap();
        socket.write_all(&alert).await.unwrap();
    });
    assert!(matches!(ours, Err(AssocError::TlsOnPlain)), "{ours:?}");
}

#[tokio::test]
async fn the_limit_of_the_negotiation_holds_for_the_handshake() {
    let authority = Authority::new();
    let secure = port(&ServerTls { own: authority.issue("node", NOW), client_ca: None });
    // Nothing at all, and a handshake that stops after its first bytes.
    for begun in [&[][..], &[0x16, 3, 1, 2, 0, 1]] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        socket.write_all(begun).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let ended = accept::accept_within(accepted, &secure, Duration::from_millis(50)).await;
        assert!(matches!(ended, Err(AssocError::Timeout { .. })), "{ended:?}");
        assert_eq!(socket.read(&mut [0]).await.unwrap_or(0), 0, "the connection is gone");
    }
}

#[tokio::test]
async fn users_are_checked_over_tls_only_and_answered_when_they_want_it() {
    let authority = Authority::new();
    let secret = authority.path("passcode");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let hash = PasscodeHash::of(b"open sesame").unwrap();
    let seen: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let note = Arc::clone(&seen);
    let choosing = policy(move |offer| {
        note.lock().unwrap().push(offer.user.clone());
        Decision::Accept(Box::new(|offered| offered.accept()))
    });
    let authenticate: Authenticate = Arc::new(move |claim: &Claim| claim.user == "ali" && claim.knows(&hash));
    let tls = Some(Acceptor::load(&ServerTls { own: authority.issue("node", NOW), client_ca: None }).unwrap());
    let policy = AcceptPolicy { tls, authenticate: Some(authenticate), ..choosing };
    let login = |user: &str, passcode_file: Option<&std::path::PathBuf>| {
        Some(Arc::new(Login { user: user.into(), passcode_file: passcode_file.cloned() }))
    };
    let wrong = authority.path("ca.pem");
    std::fs::write(authority.path("wrong"), "open sesam").unwrap();
    let wrong = wrong.with_file_name("wrong");
    for identity in
        [login("ali", Some(&secret)), login("ali", Some(&wrong)), login("ali", None), login("x", Some(&secret)), None]
    {
        let proposal = Proposal { identity, ..calling(authority.client(None)) };
        let (ours, theirs) = negotiate(&proposal, &policy).await;
        drop((ours.unwrap(), theirs.unwrap()));
    }
    assert_eq!(*seen.lock().unwrap(), [Some("ali".to_owned()), None, None, None, None]);

    // Ours never goes out in plain text.
    let plain = Proposal { identity: login("ali", Some(&secret)), ..usual() };
    let (ours, theirs) = tokio::join!(
        super::super::request("127.0.0.1", 1, &plain, &RequestTimeouts { connect: SOON, negotiate: SOON }),
        async {}
    );
    let () = theirs;
    assert!(matches!(ours, Err(AssocError::Unspeakable { .. })), "{ours:?}");
}

#[test]
fn what_is_wrong_with_the_files_is_told_with_a_remedy() {
    let authority = Authority::new();
    let (good, other) = (authority.issue("good", NOW), authority.issue("other", NOW));
    let load = |cert: &std::path::Path, key: &std::path::Path| {
        let own = KeyPair { cert: cert.into(), key: key.into() };
        let error =
            Acceptor::load(&ServerTls { own, client_ca: None }).err().map(|error| (error.to_string(), error.remedy()));
        error.map(|(error, remedy)| format!("{error} -> {remedy}")).unwrap_or_default()
    };
    let write = |name: &str, text: &str| {
        std::fs::write(authority.path(name), text).unwrap();
        authority.path(name)
    };
    assert_eq!(load(&good.cert, &good.key), "");
    assert!(load(&good.cert, &other.key).contains("is not that of the certificate"));
    assert!(load(&authority.path("none"), &good.key).contains("let the user that runs pacsferry read it"));
    assert!(load(&good.key, &good.key).contains("holds no certificate"));
    assert!(load(&good.cert, &good.cert).contains("perhaps `cert` and `key` are exchanged"));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert!(load(&good.cert, &write("encrypted", encrypted)).contains("openssl pkey"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(!load(&write("broken", broken), &good.key).is_empty());
    assert!(load(&write("torn", "-----BEGIN CERTIFICATE-----\nAA"), &good.key).contains("is damaged"));
    let said =
        Connector::load(&ClientTls { ca: good.cert, own: None, name: Some("no name".into()) }, "h").err().unwrap();
    assert!(said.remedy().contains("`name`"), "{said}");
    assert!(!format!("{:?}", Passcode(b"secret".to_vec())).contains("secret"));
}

fn configured(authority: &Authority, own: KeyPair) -> Config {
    let mut config = crate::config::parse("", None).unwrap();
    config.node.tls = Some(authority.server(own));
    config
}

#[test]
fn certificates_that_end_soon_and_keys_that_all_can_read_are_findings() {
    use std::os::unix::fs::PermissionsExt;
    let authority = Authority::new();
    let own = authority.issue("node", NOW);
    let mode =
        |path: &std::path::Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(&own.key, 0o640);
    let mut config = configured(&authority, own.clone());
    let day = Duration::from_secs(86_400);
    let found = |config: &Config, later: u32| -> Vec<(bool, String)> {
        let found = examine(config, SystemTime::now() + day * later);
        assert!(found.iter().all(|f| !f.problem.remedy.is_empty()));
        found.into_iter().map(|f| (f.severe, format!("{}: {}", f.problem.where_, f.problem.message))).collect()
    };
    assert_eq!(found(&config, 0), []);
    let soon = found(&config, 340);
    assert_eq!(soon.iter().map(|(severe, _)| *severe).collect::<Vec<_>>(), [false, false], "{soon:?}");
    assert!(soon[0].1.starts_with("node.tls: the certificate of CN=node in ") && soon[0].1.contains("expires on 2"));
    let late = found(&config, 370);
    assert_eq!(late.iter().map(|(severe, _)| *severe).collect::<Vec<_>>(), [true, false], "{late:?}");
    mode(&own.key, 0o644);
    let open = found(&config, 0);
    assert!(open.len() == 1 && !open[0].0 && open[0].1.contains("everybody on this machine can read"), "{open:?}");
    // Of a peer: what does not load.
    mode(&own.key, 0o600);
    let text = "[[peer]]\nae_title = \"X\"\naddress = \"h:1\"\ntls = { ca = \"/nonexistent\" }\nidentity = { user = \"u\", passcode_file = \"/none\" }";
    config.peers = crate::config::parse(text, None).unwrap().peers;
    assert_eq!(config.peers[0].address, HostPort { host: "h".into(), port: 1 });
    let peer = found(&config, 0);
    assert!(peer.iter().all(|(severe, said)| *severe && said.starts_with("peer.X.")), "{peer:?}");
    assert_eq!(peer.len(), 2);
}

#[test]
fn a_port_takes_up_new_files_and_keeps_the_old_ones_while_the_new_are_no_good() {
    let authority = Authority::new();
    let own = authority.issue("node", NOW);
    let config = Arc::new(configured(&authority, own.clone()));
    let port = TlsPort::open(&config, |config| config.node.tls.as_ref()).unwrap();
    assert!(port.acceptor(&config).is_some());
    std::fs::write(&own.key, "").unwrap();
    assert!(TlsPort::open(&config, |config| config.node.tls.as_ref()).is_err());
    assert!(port.acceptor(&Arc::new((*config).clone())).is_some(), "the former goes on");
    let plain = Arc::new(crate::config::parse("", None).unwrap());
    assert!(port.acceptor(&plain).is_none());
}
