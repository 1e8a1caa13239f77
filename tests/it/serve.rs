//! The hospital's node: who is let in, and to what; and how it comes and goes.

use std::io::Read;
use std::net::TcpStream;

use crate::support::peers::{Ferry, PATIENCE, Server, dcmsend, distinct, echo, get, listens, samples, send, until};
use crate::support::running::{Running, started_worker};

/// A `[[peer]]` on this machine.
fn peer(ae_title: &str, from: &str, allow: &str) -> String {
    format!(
        "[[peer]]\nae_title = \"{ae_title}\"\naddress = \"127.0.0.1:104\"\nfrom = [\"{from}\"]\nallow = [{allow}]\n"
    )
}

#[test]
fn without_peers_this_machine_may_do_everything() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let node = ferry.serve();
    assert_eq!(echo(ferry.node, "ANYBODY", Ferry::NODE), Ok(()));
    let samples = samples();
    let sent = distinct(&samples);
    // What was answered with success is durable, whatever becomes of the process then.
    let statuses = send(ferry.node, Ferry::NODE, &sent);
    drop(node);
    assert_eq!(statuses, vec![0; sent.len()]);
    let digests = sent.iter().map(|sample| (sample.sop_instance.clone(), sample.digest())).collect();
    assert_eq!(ferry.filed(), digests);
    assert!(ferry.served().contains("nobody but this machine"), "{}", ferry.served());
}

#[test]
fn who_is_not_configured_is_rejected_and_named_with_the_remedy() {
    let ferry = Ferry::new();
    let peers = peer("WS1", "127.0.0.1", "\"query\"") + &peer("WS2", "127.0.0.2", "\"query\"");
    ferry.configure_with(&[], &peers);
    let _node = ferry.serve();
    assert_eq!(echo(ferry.node, "WS1", Ferry::NODE), Ok(()));
    for (calling, called, reason, remedy) in [
        ("WS1", "WRONG", "Called AE Title Not Recognized", "called AE title not recognized"),
        ("STRANGER", Ferry::NODE, "Calling AE Title Not Recognized", "ae_title = \"STRANGER\", address = \"127.0.0.1:"),
        ("WS2", Ferry::NODE, "Calling AE Title Not Recognized", "add from = [\"127.0.0.1\"] to its [[peer]]"),
    ] {
        let refused = echo(ferry.node, calling, called).unwrap_err();
        assert!(refused.contains(reason) && refused.contains("Permanent"), "{refused}");
        until("a line in the log", PATIENCE, || ferry.served().contains(remedy).then_some(()));
    }
    let metrics = get(ferry.web, "/metrics");
    assert!(metrics.contains("\npacsferry_turned_away_total{reason=\"calling_not_recognized\"} 2\n"), "{metrics}");
    assert!(metrics.contains("\npacsferry_turned_away_total{reason=\"called_not_recognized\"} 1\n"), "{metrics}");
    assert!(metrics.contains("\npacsferry_associations_total 1\n"), "{metrics}");
    assert!(!metrics.contains("STRANGER"), "{metrics}");
}

#[test]
fn a_peer_without_the_right_to_store_is_refused_the_context() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], &peer("DCMSEND", "127.0.0.1", "\"query\""));
    let node = ferry.serve();
    let samples = samples();
    dcmsend(ferry.node, Ferry::NODE, distinct(&samples).into_iter().take(3));
    until("a line in the log", PATIENCE, || {
        ferry.served().contains("to allow it, add \"store\" to `allow` of its [[peer]]").then_some(())
    });
    drop(node);
    assert_eq!(ferry.filed().len() + ferry.quarantined().len(), 0);
}

#[test]
fn health_is_told_without_a_word_of_patients() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let node = ferry.serve();
    let samples = samples();
    let sent = distinct(&samples);
    assert_eq!(send(ferry.node, Ferry::NODE, &sent[..5]), [0; 5]);
    assert!(get(ferry.web, "/healthz").ends_with("\r\n\r\nok\n"));
    assert!(get(ferry.web, "/readyz").starts_with("HTTP/1.1 200 "));
    let metrics = get(ferry.web, "/metrics");
    for line in [
        "pacsferry_objects_received_total 5",
        "pacsferry_instances_total 5",
        "pacsferry_requests_total{service=\"store\"} 5",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line}: {metrics}");
    }
    for sample in &sent[..5] {
        for text in sample.texts.iter().filter(|(key, text)| key.starts_with("Patient") && text.len() > 4) {
            assert!(!metrics.contains(text.1.as_str()), "{text:?}");
        }
    }
    // A disk that goes away is told.
    let away = ferry.folder().join("away");
    std::fs::rename(ferry.storage(), &away).unwrap();
    let unready = get(ferry.web, "/readyz");
    assert!(unready.starts_with("HTTP/1.1 503 ") && unready.contains("not mounted"), "{unready}");
    std::fs::rename(&away, ferry.storage()).unwrap();
    drop(node);
}

#[test]
fn a_second_node_on_the_port_says_so_and_a_taken_console_stops_nobody() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let taken = std::net::TcpListener::bind(("127.0.0.1", ferry.web)).unwrap();
    let mut node = Running::start(&ferry, &["serve", "--no-worker"]);
    until("a node", PATIENCE, || listens(ferry.node).then_some(()));
    let second = ferry.run(&["serve", "--no-worker"]);
    assert_eq!(second.code, 1);
    assert!(second.err.contains("the node cannot listen"), "{}", second.err);
    assert!(second.err.contains("is another `pacsferry serve` running?"), "{}", second.err);
    assert_eq!(echo(ferry.node, "ANY", Ferry::NODE), Ok(()));
    until("a line in the log", PATIENCE, || node.said().contains("the console cannot listen").then_some(()));
    drop(taken);
    // SIGTERM ends it in order, an idle association notwithstanding.
    let idle = TcpStream::connect(("127.0.0.1", ferry.node)).unwrap();
    node.signal(rustix::process::Signal::TERM);
    assert_eq!(node.ends(PATIENCE), Some(0));
    drop(idle);
}

#[test]
fn the_worker_outlives_the_node_that_started_it() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let node: Server = ferry.serve_with_worker();
    started_worker(&ferry);
    until("a receiver", PATIENCE, || listens(ferry.receiver).then_some(()));
    until("the worker's lease", PATIENCE, || {
        get(ferry.web, "/metrics").contains("\npacsferry_worker_up 1\n").then_some(())
    });
    // SIGKILL to the node and everything in its process group.
    drop(node);
    assert!(!listens(ferry.node));
    let folder = ferry.folder().join("in");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&distinct(&samples())[0].path, folder.join("1.dcm")).unwrap();
    let queued = ferry.run(&["import", folder.to_str().unwrap(), "--copy", "--detach"]);
    assert_eq!(queued.code, 0, "{}", queued.err);
    until("the job is done by the worker", PATIENCE, || (ferry.filed().len() == 1).then_some(()));
    // Another node finds it and starts none.
    let node = ferry.serve_with_worker();
    until("the worker is seen", PATIENCE, || {
        get(ferry.web, "/metrics").contains("\npacsferry_worker_up 1\n").then_some(())
    });
    assert!(!ferry.served().contains("started a worker"), "{}", ferry.served());
    drop(node);
}

#[test]
fn a_web_browser_at_the_dicom_port_is_told_and_noted() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let _node = ferry.serve();
    let answer = get(ferry.node, "/");
    assert!(answer.contains("This port speaks DICOM"), "{answer}");
    until("a line in the log", PATIENCE, || ferry.served().contains("it speaks HTTP").then_some(()));
    assert_eq!(echo(ferry.node, "ANY", Ferry::NODE), Ok(()));
}

#[test]
fn two_thousand_idle_sockets_do_not_keep_a_peer_out() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let _node = ferry.serve();
    let mut idle: Vec<TcpStream> = Vec::new();
    for _ in 0..2000 {
        idle.extend(TcpStream::connect(("127.0.0.1", ferry.node)));
    }
    assert!(idle.len() > 500, "only {} sockets: is the limit of open files too low?", idle.len());
    for _ in 0..5 {
        assert_eq!(echo(ferry.node, "WS1", Ferry::NODE), Ok(()));
    }
    // The oldest made room, and the rest is left in time.
    for socket in &mut idle {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let end = socket.read(&mut [0]);
        assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    }
    assert!(ferry.served().contains("too many are waiting"), "{}", ferry.served());
}
