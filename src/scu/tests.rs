//! Against scripted peers on loopback.

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
async fn peer_that<F, R>(accepts: fn(&str) -> bool, script: impl FnOnce(Session) -> F + Send + 'static) -> (Target, JoinHandle<R>)
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
        choose: Arc::new(move |_| {
            Decision::Accept(Box::new(move |offered| {
                if accepts(offered.abstract_syntax.as_str()) { offered.accept() } else { Answer::AbstractSyntaxNotSupported }
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
    let (target, _peer) = peer_that(|class| class != uids::VERIFICATION, |mut session| async move { farewell(&mut session).await }).await;
    assert!(matches!(echo(&target).await, Err(ScuError::NotAccepted { .. })));
    let closed = Target { port: 1, ..target };
    let error = echo(&closed).await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(error.remedy().unwrap().contains("port 1"), "{error}");
}

#[tokio::test]
async fn answers_come_one_by_one_whatever_they_look_like() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, identifier) = request(&mut session).await;
        assert_eq!(find.class.as_ref().unwrap().as_str(), uids::STUDY_ROOT_FIND);
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
        respond(&mut session, context, &find, 0xFF01, None).await;
        let mut odd = row("1.2.3");
        odd.put_bytes(crate::dicom::Tag(0x0009, 0x1001), *b"OB", b"odd").put(tags::TIMEZONE_OFFSET_FROM_UTC, "+0100");
        respond(&mut session, context, &find, 0xFF00, Some(&odd)).await;
        // A final response should have no identifier.
        respond(&mut session, context, &find, 0, Some(&row("1.2.4"))).await;
        (identifier, farewell(&mut session).await)
    })
    .await;
    let mut source = query(&target).await;
    assert!(source.can(Service::Find) && source.can(Service::Move) && !source.can(Service::Get));
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    let first = find.next().await.unwrap().unwrap();
    assert_eq!(first.uid(tags::STUDY_INSTANCE_UID).unwrap().as_str(), "1.2.1");
    assert_eq!(first.text(tags::PATIENT_NAME).unwrap(), "Müller^Hans");
    assert!(find.end().is_none());
    assert!(find.next().await.unwrap().unwrap().is_empty());
    assert!(find.next().await.unwrap().is_some());
    assert!(find.next().await.unwrap().is_none());
    assert!(find.next().await.unwrap().is_none());
    assert_eq!(find.end(), Some(&FindEnd { status: Status::SUCCESS, rows: 3, comment: None, cancelled: false }));
    assert!(source.is_usable());
    source.release().await;
    let (identifier, farewell) = peer.await.unwrap();
    assert_eq!(identifier.text(tags::QUERY_RETRIEVE_LEVEL).unwrap(), "STUDY");
    assert_eq!(identifier.text(tags::STUDY_DATE).unwrap(), "20200101-");
    assert_eq!(identifier.bytes(tags::STUDY_INSTANCE_UID), Some(&[][..]), "never a star");
    assert_eq!(farewell, "released");
}

#[tokio::test]
async fn a_final_status_is_told_as_it_came_and_the_association_goes_on() {
    let statuses = [0xA700, 0xFE00, 0xC123, 0xB000];
    let (target, _peer) = peer(move |mut session| async move {
        for status in statuses {
            let (context, find, _) = request(&mut session).await;
            respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
            let mut end = Command::response(&find, Status(status));
            end.comment = Some("too many".into());
            session.send(context, &end, None, LONG).await.unwrap();
        }
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    for (n, status) in statuses.into_iter().enumerate() {
        assert_eq!(usize::from(source.next_message_id()), n + 1);
        let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
        while find.next().await.unwrap().is_some() {}
        let end = find.end().unwrap();
        assert_eq!((end.status, end.rows, end.cancelled), (Status(status), 1, false));
        assert_eq!(end.comment.as_deref(), Some("too many"));
    }
}

#[tokio::test]
async fn a_query_without_life_is_aborted() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), SHORT, &cancel).await.unwrap();
    assert!(find.next().await.unwrap().is_some());
    let started = Instant::now();
    let error = find.next().await.unwrap_err();
    assert!(error.is_timeout() && matches!(error, ScuError::Idle { .. }), "{error}");
    assert!(started.elapsed() >= SHORT);
    assert_eq!(peer.await.unwrap(), "aborted");
    assert!(!source.is_usable());
    assert!(matches!(source.find(QueryLevel::Study, &keys(), SHORT, &cancel).await.err(), Some(ScuError::NotReady { .. })));
}

#[tokio::test]
async fn a_cancelled_query_ends_when_the_source_obeys() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
        let (_, cancel, _) = request(&mut session).await;
        assert_eq!((cancel.field, cancel.message_id), (CommandField::CCancelRq, find.message_id));
        // One more was on its way.
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.2"))).await;
        respond(&mut session, context, &find, 0xFE00, None).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    assert!(find.next().await.unwrap().is_some());
    cancel.cancel();
    assert!(find.next().await.unwrap().is_none());
    assert_eq!(find.end(), Some(&FindEnd { status: Status::CANCEL, rows: 1, comment: None, cancelled: true }));
    assert!(source.is_usable());
    source.release().await;
    assert_eq!(peer.await.unwrap(), "released");
}

#[tokio::test]
async fn a_source_that_ignores_a_cancel_is_left_within_a_second() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        let response = Command { has_data_set: true, ..Command::response(&find, Status::PENDING) };
        let bytes = row("1.2.1").write(encoding(&session, context));
        while session.send(context, &response, Some(&bytes), LONG).await.is_ok() {}
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    assert!(find.next().await.unwrap().is_some());
    let told = Instant::now();
    cancel.cancel();
    assert!(find.next().await.unwrap().is_none());
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    assert!(find.end().unwrap().cancelled);
    assert!(!source.is_usable());
    tokio::time::timeout(LONG, peer).await.expect("the peer met an abort").unwrap();
}

#[tokio::test]
async fn a_query_that_was_dropped_does_not_mix_with_the_next() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    assert!(find.next().await.unwrap().is_some());
    drop(find);
    assert!(matches!(source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.err(), Some(ScuError::NotReady { .. })));
    source.release().await;
    assert_eq!(peer.await.unwrap(), "aborted");
}

#[tokio::test]
async fn what_has_no_place_in_an_operation_ends_it() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        let nonsense = Command { field: CommandField::CMoveRsp, ..Command::response(&find, Status::SUCCESS) };
        session.send(context, &nonsense, None, LONG).await.unwrap();
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    let error = find.next().await.unwrap_err();
    assert!(matches!(error, ScuError::Unexpected { .. }), "{error}");
    assert_eq!(peer.await.unwrap(), "aborted");
}

#[tokio::test]
async fn a_move_tells_counters_failures_and_words() {
    let (target, peer) = peer_that(|class| class != uids::STUDY_ROOT_MOVE, |mut session| async move {
        let (context, rq, identifier) = request(&mut session).await;
        assert_eq!(rq.destination.as_deref(), Some("FERRY_RX"));
        assert_eq!(rq.class.as_ref().unwrap().as_str(), uids::PATIENT_ROOT_MOVE, "where there is no Study Root");
        respond(&mut session, context, &rq, 0xFF00, None).await;
        let mut pending = Command::response(&rq, Status::PENDING);
        pending.counters = Counters { remaining: Some(1), completed: Some(2), failed: Some(0), warning: None };
        session.send(context, &pending, None, LONG).await.unwrap();
        let mut failed = Elements::new();
        failed.put(tags::FAILED_SOP_INSTANCE_UID_LIST, "1.2.3.4\\1.2.3.5");
        let mut end = Command::response(&rq, Status(0xB000));
        end.has_data_set = true;
        end.counters.failed = Some(2);
        end.comment = Some("tape is out".into());
        let bytes = failed.write(encoding(&session, context));
        session.send(context, &end, Some(&bytes), LONG).await.unwrap();
        (identifier, farewell(&mut session).await)
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let what = Retrieval {
        patient_id: Some("P1".into()),
        ..Retrieval::instances(
            StudyInstanceUid::new("1.2.3"),
            SeriesInstanceUid::new("1.2.3.1"),
            vec![SopInstanceUid::new("1.2.3.4"), SopInstanceUid::new("1.2.3.5")],
        )
    };
    let mut seen = Vec::new();
    let mut progress = |p: Progress| seen.push((p.status.0, p.counters.completed, p.counters.failed));
    let cancel = CancellationToken::new();
    let end = source.retrieve(&to_us(), &what, limits(LONG, LONG), &mut progress, &cancel).await.unwrap();
    assert_eq!(seen, [(0xFF00, None, None), (0xFF00, Some(2), Some(0)), (0xB000, Some(2), Some(2))]);
    assert_eq!((end.status, end.cancelled, end.received), (Status(0xB000), false, 0));
    assert_eq!(end.failed, [SopInstanceUid::new("1.2.3.4"), SopInstanceUid::new("1.2.3.5")]);
    assert_eq!(end.comment.as_deref(), Some("tape is out"));
    source.release().await;
    let (identifier, farewell) = peer.await.unwrap();
    for (tag, value) in [
        (tags::QUERY_RETRIEVE_LEVEL, "IMAGE"),
        (tags::PATIENT_ID, "P1"),
        (tags::STUDY_INSTANCE_UID, "1.2.3"),
        (tags::SERIES_INSTANCE_UID, "1.2.3.1"),
        (tags::SOP_INSTANCE_UID, "1.2.3.4\\1.2.3.5"),
    ] {
        assert_eq!(identifier.text(tag).as_deref(), Some(value));
    }
    assert_eq!(farewell, "released");
}

#[tokio::test]
async fn an_association_that_ends_at_a_move_hints_at_the_destination() {
    let (target, _peer) = peer(|mut session| async move {
        request(&mut session).await;
        session.abort().await;
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let cancel = CancellationToken::new();
    let error = source.retrieve(&to_us(), &study(), limits(LONG, LONG), &mut ignore, &cancel).await.unwrap_err();
    assert!(error.hints_at_unknown_destination(), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(error.remedy().unwrap().contains("FERRY_RX"));
    // After a response it is a broken association like any other.
    let (target, _peer) = peer(|mut session| async move {
        let (context, rq, _) = request(&mut session).await;
        respond(&mut session, context, &rq, 0xFF00, None).await;
        session.abort().await;
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let error = source.retrieve(&to_us(), &study(), limits(LONG, LONG), &mut ignore, &cancel).await.unwrap_err();
    assert!(!error.hints_at_unknown_destination() && matches!(error, ScuError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn arrivals_elsewhere_keep_a_silent_move_alive_but_not_for_ever() {
    let (target, peer) = peer(|mut session| async move {
        request(&mut session).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let cancel = CancellationToken::new();
    let limits = Limits { idle: SHORT / 4, total: SHORT, alive: &now };
    let started = Instant::now();
    let error = source.retrieve(&to_us(), &study(), limits, &mut ignore, &cancel).await.unwrap_err();
    assert!(matches!(error, ScuError::TooSlow { .. }), "{error}");
    assert!(started.elapsed() >= SHORT);
    assert_eq!(peer.await.unwrap(), "aborted");
}

#[tokio::test]
async fn pendings_for_ever_meet_the_total_limit_and_silence_the_idle_limit() {
    let (target, _peer) = peer(|mut session| async move {
        let (context, rq, _) = request(&mut session).await;
        let pending = Command::response(&rq, Status::PENDING);
        while session.send(context, &pending, None, LONG).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let cancel = CancellationToken::new();
    let error = source.retrieve(&to_us(), &study(), limits(LONG, SHORT), &mut ignore, &cancel).await.unwrap_err();
    assert!(matches!(error, ScuError::TooSlow { .. }), "{error}");
    let (target, _peer) = peer(|mut session| async move {
        request(&mut session).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let error = source.retrieve(&to_us(), &study(), limits(SHORT, LONG), &mut ignore, &cancel).await.unwrap_err();
    assert!(matches!(error, ScuError::Idle { .. }), "{error}");
}

#[tokio::test]
async fn a_cancelled_move_is_told_apart_from_one_that_was_just_done() {
    for (status, cancelled) in [(0xFE00, true), (0xB000, true), (0x0000, false)] {
        let (target, _peer) = peer(move |mut session| async move {
            let (context, rq, _) = request(&mut session).await;
            let (_, cancel, _) = request(&mut session).await;
            assert_eq!(cancel.field, CommandField::CCancelRq);
            respond(&mut session, context, &rq, status, None).await;
            farewell(&mut session).await
        })
        .await;
        let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
        let cancel = CancellationToken::new();
        cancel.cancel();
        let end = source.retrieve(&to_us(), &study(), limits(LONG, LONG), &mut ignore, &cancel).await.unwrap();
        assert_eq!((end.status, end.cancelled), (Status(status), cancelled));
        source.release().await;
    }
}

/// What a store saw: the instance, its transfer syntax, its bytes, and whether it was whole.
type Seen = Arc<Mutex<Vec<(String, String, Vec<u8>, bool)>>>;

fn store(seen: &Seen, status: u16) -> Store {
    let seen = seen.clone();
    Arc::new(move |mut stream: ObjectStream| {
        let seen = seen.clone();
        Box::pin(async move {
            let (mut bytes, mut whole) = (Vec::new(), false);
            while let Some(fragment) = stream.fragments.recv().await {
                match fragment {
                    Fragment::Data(data) => bytes.extend_from_slice(&data),
                    Fragment::End => whole = true,
                }
            }
            let names = (stream.instance.to_string(), stream.transfer_syntax.to_string());
            seen.lock().unwrap().push((names.0, names.1, bytes, whole));
            (Status(status), (status != 0).then(|| "our words".to_string()))
        })
    })
}

fn ct(syntaxes: &[&str]) -> Purpose {
    Purpose::Get(vec![(SopClassUid::new(CT), syntaxes.iter().map(|s| TransferSyntaxUid::new(s)).collect())])
}

fn store_rq(n: u16, instance: &str) -> Command {
    Command { has_data_set: true, ..Command::store_rq(n, &SopClassUid::new(CT), &SopInstanceUid::new(instance), None) }
}

fn storage_contexts(session: &Session) -> Vec<u8> {
    let contexts = session.association().contexts().iter();
    contexts.filter(|c| c.abstract_syntax.as_str() == CT).map(|c| c.id).collect()
}

#[tokio::test]
async fn objects_of_a_get_come_over_the_same_association() {
    let object: Vec<u8> = (0..300_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let sent = object.clone();
    let (target, peer) = peer(move |mut session| async move {
        let (context, rq, _) = request(&mut session).await;
        assert_eq!(rq.field, CommandField::CGetRq);
        let contexts = storage_contexts(&session);
        let mut answers = Vec::new();
        for (&storage, (n, instance)) in contexts.iter().zip([(7, "1.2.3.1"), (8, "1.2.3.2")]) {
            session.send(storage, &store_rq(n, instance), Some(&sent), LONG).await.unwrap();
            let (_, answer, _) = request(&mut session).await;
            answers.push((answer.field, answer.message_id, answer.status, answer.comment));
            respond(&mut session, context, &rq, 0xFF00, None).await;
        }
        respond(&mut session, context, &rq, 0, None).await;
        (contexts.len(), answers, farewell(&mut session).await)
    })
    .await;
    let mut source = SourceSession::open(&target, ct(&[uids::EXPLICIT_LE, PRIVATE_SYNTAX])).await.unwrap();
    assert!(source.can(Service::Get) && !source.can(Service::Find));
    let seen = Seen::default();
    let mut received = Vec::new();
    let mut progress = |p: Progress| received.push(p.received);
    let cancel = CancellationToken::new();
    let how = Retrieve::Get(store(&seen, 0xB007));
    let end = source.retrieve(&how, &study(), limits(LONG, LONG), &mut progress, &cancel).await.unwrap();
    assert_eq!((end.status, end.received, end.cancelled), (Status::SUCCESS, 2, false));
    assert_eq!(received, [1, 1, 2, 2, 2]);
    source.release().await;
    let (contexts, answers, farewell) = peer.await.unwrap();
    let answer = |id| (CommandField::CStoreRsp, id, Some(Status(0xB007)), Some("our words".to_string()));
    assert_eq!((contexts, answers, farewell), (2, vec![answer(7), answer(8)], "released"));
    let expected = |uid: &str, syntax: &str| (uid.to_string(), syntax.to_string(), object.clone(), true);
    let seen = seen.lock().unwrap();
    // Not `assert_eq`, which would print the bytes.
    assert!(*seen == [expected("1.2.3.1", uids::EXPLICIT_LE), expected("1.2.3.2", PRIVATE_SYNTAX)]);
}

#[tokio::test]
async fn a_store_that_takes_nothing_still_answers() {
    let (target, peer) = peer(|mut session| async move {
        let (context, rq, _) = request(&mut session).await;
        let storage = storage_contexts(&session)[0];
        session.send(storage, &store_rq(1, "1.2.3.1"), Some(&vec![1; 500_000]), LONG).await.unwrap();
        let (_, refused, _) = request(&mut session).await;
        // An object without a data set.
        let empty = Command { has_data_set: false, ..store_rq(2, "1.2.3.2") };
        session.send(storage, &empty, None, LONG).await.unwrap();
        let (_, also, _) = request(&mut session).await;
        respond(&mut session, context, &rq, 0xA702, None).await;
        farewell(&mut session).await;
        [refused.status, also.status]
    })
    .await;
    let mut source = SourceSession::open(&target, ct(&[uids::EXPLICIT_LE])).await.unwrap();
    let refuse: Store = Arc::new(|stream: ObjectStream| {
        drop(stream);
        Box::pin(async { (Status::OUT_OF_RESOURCES, None) })
    });
    let cancel = CancellationToken::new();
    let end = source.retrieve(&Retrieve::Get(refuse), &study(), limits(LONG, LONG), &mut ignore, &cancel).await.unwrap();
    assert_eq!(end.status, Status(0xA702));
    source.release().await;
    assert_eq!(peer.await.unwrap(), [Some(Status::OUT_OF_RESOURCES); 2]);
}

#[tokio::test]
async fn a_get_that_is_cut_or_cancelled_within_an_object_never_ends_it() {
    for cut_by_peer in [true, false] {
        let (target, peer) = peer(move |mut session| async move {
            let _ = request(&mut session).await;
            let storage = storage_contexts(&session)[0];
            let association = session.association_mut();
            association.send_command(storage, &store_rq(1, "1.2.3.1").encode(), LONG).await.unwrap();
            association.send_data(storage, &[7; 100_000], false, LONG).await.unwrap();
            if cut_by_peer {
                session.abort().await;
                return "cut";
            }
            farewell(&mut session).await
        })
        .await;
        let mut source = SourceSession::open(&target, ct(&[uids::EXPLICIT_LE])).await.unwrap();
        let seen = Seen::default();
        let cancel = CancellationToken::new();
        if !cut_by_peer {
            cancel.cancel();
        }
        let how = Retrieve::Get(store(&seen, 0));
        let started = Instant::now();
        let ended = source.retrieve(&how, &study(), limits(LONG, LONG), &mut ignore, &cancel).await;
        assert!(started.elapsed() < Duration::from_secs(2));
        match ended {
            Ok(end) => assert!(end.cancelled && !cut_by_peer && end.received == 0),
            Err(error) => assert!(cut_by_peer && !error.hints_at_unknown_destination(), "{error}"),
        }
        assert!(seen.lock().unwrap().iter().all(|(_, _, bytes, whole)| !whole && bytes.len() <= 100_000));
        assert_eq!(peer.await.unwrap(), if cut_by_peer { "cut" } else { "aborted" });
    }
}

#[tokio::test]
async fn more_contexts_than_there_are_is_our_own_mistake() {
    let syntaxes = (0..=MOST_STORAGE_CONTEXTS).map(|n| TransferSyntaxUid::new(&format!("1.2.{n}"))).collect();
    let purpose = Purpose::Get(vec![(SopClassUid::new(CT), syntaxes)]);
    let (target, _peer) = peer(|_session| async move {}).await;
    let error = SourceSession::open(&target, purpose).await.unwrap_err();
    assert_eq!(error.fault(), crate::object::Fault::Local);
    assert!(matches!(error, ScuError::TooManyContexts { wanted: 129, most: 128 }), "{error}");
}
