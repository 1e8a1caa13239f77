//! Against scripted peers on loopback.

mod find;
mod get;
mod retrieve;

use std::sync::Mutex;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::assoc::{AcceptPolicy, Answer, AssocError, Decision, accept};
use crate::dataset::Elements;
use crate::dicom::{
    Encoding, QueryLevel, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid,
    encoding_of, tags, uids,
};
use crate::dimse::{Command, CommandField, Counters, DimseError, Session};
use crate::object::{Disposition, Fragment};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const PRIVATE_SYNTAX: &str = "1.2.3.4.5";

/// A peer that accepts one association, its contexts by `accepts`, and then follows a script.
async fn peer_that<F, R>(
    accepts: fn(&str) -> bool,
    script: impl FnOnce(Session) -> F + Send + 'static,
) -> (Target, JoinHandle<R>)
where
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let policy = AcceptPolicy {
        ae_titles: Vec::new(),
        max_pdu: 16 * 1024,
        accept_scp_role: true,
        tls: None,
        authenticate: None,
        choose: Arc::new(move |_| {
            Decision::Accept(Box::new(move |offered| {
                if accepts(offered.abstract_syntax.as_str()) {
                    offered.accept()
                } else {
                    Answer::AbstractSyntaxNotSupported
                }
            }))
        }),
    };
    let running = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        script(Session::new(accept(socket, &policy).await.unwrap())).await
    });
    let target = Target {
        name: "old".into(),
        host: "127.0.0.1".into(),
        port,
        called: AeTitle::new("OLDPACS").unwrap(),
        calling: AeTitle::new("FERRY").unwrap(),
        connect: LONG,
        respond: LONG,
        default_charset: CharacterSet::from_terms("ISO_IR 100"),
        throttle: None,
        tls: None,
        identity: None,
    };
    (target, running)
}

async fn peer<F, R>(script: impl FnOnce(Session) -> F + Send + 'static) -> (Target, JoinHandle<R>)
where
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    peer_that(|_| true, script).await
}

/// The next request of the other side with its identifier.
async fn request(session: &mut Session) -> (u8, Command, Elements) {
    let (context, command) = session.receive(LONG).await.unwrap().expect("a request");
    let mut identifier = Elements::new();
    if command.has_data_set {
        let bytes = session.collect_data(1 << 20, LONG).await.unwrap();
        identifier = Elements::read(&bytes, encoding(session, context)).unwrap();
    }
    (context, command, identifier)
}

fn encoding(session: &Session, context: u8) -> Encoding {
    encoding_of(&session.association().context(context).unwrap().transfer_syntax)
}

async fn respond(session: &mut Session, context: u8, to: &Command, status: u16, row: Option<&Elements>) {
    let mut response = Command::response(to, Status(status));
    response.has_data_set = row.is_some();
    let row = row.map(|row| row.write(encoding(session, context)));
    session.send(context, &response, row.as_deref(), LONG).await.unwrap();
}

/// How the other side left.
async fn farewell(session: &mut Session) -> &'static str {
    loop {
        match session.receive(LONG).await {
            Ok(Some((_, command))) if command.field == CommandField::CCancelRq => {}
            Ok(Some(_)) => return "request",
            Ok(None) => return "released",
            Err(DimseError::Association(AssocError::Aborted { .. })) => return "aborted",
            Err(_) => return "gone",
        }
    }
}

fn row(uid: &str) -> Elements {
    let mut row = Elements::new();
    row.put(tags::STUDY_INSTANCE_UID, uid).put_bytes(tags::PATIENT_NAME, *b"PN", b"M\xfcller^Hans");
    row
}

fn keys() -> Elements {
    let mut keys = Elements::new();
    keys.put(tags::STUDY_INSTANCE_UID, "*").put(tags::STUDY_DATE, "20200101-").put(tags::PATIENT_NAME, "");
    keys
}

async fn query(target: &Target) -> SourceSession {
    SourceSession::open(target, Purpose::Query).await.unwrap()
}

fn ignore(_: Progress) {}

fn now() -> Instant {
    Instant::now()
}

const fn limits(idle: Duration, total: Duration) -> Limits<'static> {
    // Nothing ever arrives elsewhere: the moment of the question would be a sign of life.
    Limits { idle, total, alive: &long_ago }
}

fn long_ago() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn to_us() -> Retrieve {
    Retrieve::Move { destination: AeTitle::new("FERRY_RX").unwrap() }
}

fn study() -> Retrieval {
    Retrieval::study(StudyInstanceUid::new("1.2.3"))
}

#[tokio::test]
async fn an_echo_tells_what_the_peer_accepts() {
    let accepts = |class: &str| [uids::VERIFICATION, uids::STUDY_ROOT_FIND, uids::PATIENT_ROOT_MOVE].contains(&class);
    let (target, peer) = peer_that(accepts, |mut session| async move {
        let (context, echo, _) = request(&mut session).await;
        assert_eq!(echo.field, CommandField::CEchoRq);
        respond(&mut session, context, &echo, 0, None).await;
        farewell(&mut session).await
    })
    .await;
    let report = echo(&target).await.unwrap();
    let classes: Vec<&str> = report.accepted.iter().map(|(class, _)| class.as_str()).collect();
    assert_eq!(classes, [uids::VERIFICATION, uids::STUDY_ROOT_FIND, uids::PATIENT_ROOT_MOVE]);
    assert_eq!(report.rejected.len(), 4);
    assert_eq!(report.max_pdu, 16 * 1024);
    assert_eq!(peer.await.unwrap(), "released");
}

#[tokio::test]
async fn an_echo_that_fails_says_so() {
    let (target, _peer) = peer(|mut session| async move {
        let (context, echo, _) = request(&mut session).await;
        respond(&mut session, context, &echo, 0x0122, None).await;
        farewell(&mut session).await
    })
    .await;
    assert!(matches!(echo(&target).await, Err(ScuError::EchoRefused { status: Status(0x0122), .. })));
    let (target, _peer) =
        peer_that(|class| class != uids::VERIFICATION, |mut session| async move { farewell(&mut session).await }).await;
    assert!(matches!(echo(&target).await, Err(ScuError::NotAccepted { .. })));
    let closed = Target { port: 1, ..target };
    let error = echo(&closed).await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(error.remedy().unwrap().contains("port 1"), "{error}");
}
