//! A collector that speaks TLS: away and back, and one that is not whom we want.

use std::sync::Mutex;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use super::*;
use crate::assoc::tls::testing::{Authority, NOW};
use crate::catalog::NewAuditEntry;
use crate::config::{self, KeyPair};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

type Inbox = Arc<Mutex<Vec<String>>>;

fn acceptor(own: &KeyPair) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(&own.cert).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Takes messages until it is dropped.
async fn collect(listener: TcpListener, acceptor: TlsAcceptor, inbox: Inbox) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let _ended = take(socket, &acceptor, &inbox).await;
    }
}

async fn take(socket: TcpStream, acceptor: &TlsAcceptor, inbox: &Inbox) -> std::io::Result<()> {
    let mut stream = acceptor.accept(socket).await?;
    loop {
        let mut length = 0;
        loop {
            match stream.read_u8().await? {
                b' ' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await?;
        inbox.lock().unwrap().push(String::from_utf8(message).unwrap());
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn add(catalog: &Catalog, names: &[&str]) {
    let entry = |name: &&str| NewAuditEntry {
        at: now(),
        event: "start",
        outcome: 0,
        who: String::new(),
        what: String::new(),
        message: format!("<{name}/>"),
    };
    catalog.add_audit(names.iter().map(entry).collect()).await.unwrap();
}

/// The XML of the messages, each once.
fn received(inbox: &Inbox) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for message in inbox.lock().unwrap().iter() {
        let xml = message.split_once('\u{FEFF}').unwrap().1.to_owned();
        if !messages.contains(&xml) {
            messages.push(xml);
        }
    }
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_and_comes_back_gets_everything_in_order_and_another_one_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = authority.issue("collector", NOW);
    let bad = stranger.issue("collector", NOW);
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
    // The port is known, and nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ca = authority.path("ca.pem");
    let text = format!("[audit]\nsyslog = \"tls://{address}\"\ntls = {{ ca = \"{}\" }}", ca.display());
    let (_sender, config) = watch::channel(Arc::new(config::parse(&text, None).unwrap()));
    add(&catalog, &["a", "b", "c"]).await;
    let (stop, inbox) = (CancellationToken::new(), Inbox::default());
    let delivering = tokio::spawn(Delivery { catalog: catalog.clone(), config }.run(stop.clone()));

    // One with a certificate of somebody else is not told a word.
    let wrong = Inbox::default();
    let listener = TcpListener::bind(address).await.unwrap();
    let (seen, refusing) = (Arc::new(Mutex::new(0)), acceptor(&bad));
    let impostor = tokio::spawn({
        let (seen, wrong) = (Arc::clone(&seen), Arc::clone(&wrong));
        async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let _refused = take(socket, &refusing, &wrong).await;
                *seen.lock().unwrap() += 1;
            }
        }
    });
    until("it tries the impostor", || *seen.lock().unwrap() > 0).await;
    impostor.abort();
    let _aborted = impostor.await;

    for names in [&["d"][..], &["e", "f"]] {
        let collecting =
            tokio::spawn(collect(TcpListener::bind(address).await.unwrap(), acceptor(&good), Arc::clone(&inbox)));
        let all = catalog.audit_after(0, 100).await.unwrap();
        until("the collector has everything", || received(&inbox).len() == all.len()).await;
        assert_eq!(received(&inbox), all.iter().map(|entry| entry.message.clone()).collect::<Vec<_>>());
        collecting.abort();
        let _aborted = collecting.await;
        add(&catalog, names).await;
    }
    assert!(wrong.lock().unwrap().is_empty());
    // The last ones are waiting, and are known to.
    let last = catalog.audit_after(0, 100).await.unwrap().last().unwrap().id;
    assert!(catalog.audit_sent().await.unwrap() < last);
    stop.cancel();
    delivering.await.unwrap();
}
