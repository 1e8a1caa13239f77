//! Peers that are no source: what they are refused is told in the log, with what to do about it.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use pacsferry::assoc::{Association, Proposal, Proposed, RequestTimeouts, request};
use pacsferry::dicom::{AeTitle, SopClassUid, SopInstanceUid, Status};
use pacsferry::dimse::{Command, Session};
use pacsferry::sample::{Archive, Profile};

use crate::support::peers::{Ferry, PATIENCE, listens, until};
use crate::support::running::Running;
use crate::support::scene::Scene;

const VERIFICATION: &str = "1.2.840.10008.1.1";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// An association of WORKSTATION9 that would like to ask whether we are here, and to send CT images.
async fn associate(port: u16) -> Association {
    let context = |class: &str| Proposed {
        abstract_syntax: class.to_owned(),
        transfer_syntaxes: vec!["1.2.840.10008.1.2".to_owned()],
        scp_role: None,
    };
    let proposal = Proposal {
        called: AeTitle::new(Ferry::AE_TITLE).unwrap(),
        calling: AeTitle::new("WORKSTATION9").unwrap(),
        contexts: vec![context(VERIFICATION), context(CT)],
        max_pdu: 16_384,
        extended: Vec::new(),
        tls: None,
        identity: None,
    };
    let timeouts = RequestTimeouts { connect: PATIENCE, negotiate: PATIENCE };
    request("127.0.0.1", port, &proposal, &timeouts).await.unwrap()
}

#[test]
fn whoever_sends_objects_and_is_no_source_is_named_with_the_remedy() {
    let archive = Archive::with(|b| {
        b.studies("20240105", 1, 1);
    });
    let scene = Scene::keyed(archive, Profile::default(), &[("from", "[\"10.9.8.7\"]")]);
    let worker = Running::start(&scene.ferry, &["work"]);
    until("a receiver", PATIENCE, || listens(scene.ferry.receiver).then_some(()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let association = runtime.block_on(associate(scene.ferry.receiver));
    assert!(association.context_for(VERIFICATION).is_some(), "C-ECHO is for anybody");
    assert!(association.context_for(CT).is_none());
    until("a line in the log", PATIENCE, || {
        let said = worker.said();
        (said.contains("WORKSTATION9") && said.contains("add from = [\"127.0.0.1\"] to its [[source]]")).then_some(())
    });
    drop((association, worker));
}

#[test]
fn a_flood_of_connections_is_a_few_lines_and_a_number() {
    let scene = Scene::keyed(Archive::with(|_| {}), Profile::default(), &[("from", "[\"10.9.8.7\"]")]);
    let mut worker = Running::start(&scene.ferry, &["work"]);
    until("a receiver", PATIENCE, || listens(scene.ferry.receiver).then_some(()));
    let idle: Vec<_> = (0..300).map(|_| TcpStream::connect(("127.0.0.1", scene.ferry.receiver)).unwrap()).collect();
    let lines = |said: &str, what: &str| said.lines().filter(|line| line.contains(what)).count();
    // They are taken in order, and the oldest make room: when the last of these is closed, all were looked at.
    let mut last = &idle[300 - 24 - 1];
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    let closed = last.read(&mut [0]);
    assert!(closed.as_ref().map_or_else(|e| e.kind() == ErrorKind::ConnectionReset, |n| *n == 0), "{closed:?}");
    drop(idle);
    worker.signal(rustix::process::Signal::TERM);
    assert_eq!(worker.ends(PATIENCE), Some(0));
    let said = worker.said();
    assert_eq!(lines(&said, "too many are waiting"), 4, "{said}");
    let told = said.lines().find(|line| line.contains("are left out")).unwrap();
    let more = told.split("more=").nth(1).unwrap();
    let more: u32 = more.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
    assert!((200..=276).contains(&more), "{told}");
}

#[test]
fn objects_on_the_context_for_verification_are_not_taken() {
    let scene = Scene::new(Archive::with(|_| {}), Profile::default());
    let worker = Running::start(&scene.ferry, &["work"]);
    until("a receiver", PATIENCE, || listens(scene.ferry.receiver).then_some(()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Command::store_rq(1, &SopClassUid::new(CT), &SopInstanceUid::new("1.2.3.4"), None);
    let (status, echoed) = runtime.block_on(async {
        let mut session = Session::new(associate(scene.ferry.receiver).await);
        let context = session.association().context_for(VERIFICATION).unwrap().id;
        session.send(context, &store, Some(&[0; 5000]), PATIENCE).await.unwrap();
        let (_, response) = session.receive(PATIENCE).await.unwrap().unwrap();
        session.send(context, &Command::echo_rq(2), None, PATIENCE).await.unwrap();
        let (_, echoed) = session.receive(PATIENCE).await.unwrap().unwrap();
        (response.status, echoed.status)
    });
    assert_eq!((status, echoed), (Some(Status::SOP_CLASS_NOT_SUPPORTED), Some(Status::SUCCESS)));
    drop(worker);
    assert_eq!(scene.ferry.quarantined(), Vec::<String>::new());
}
