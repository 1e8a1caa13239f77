//! The audit trail: who did what, kept in the catalog, and sent to a collector whenever that is there.

use std::collections::HashSet;

use serde_json::Value;

use crate::support::collector::{Collector, Inbox};
use crate::support::peers::{
    Ask, Ferry, Modality, PATIENCE, Sample, distinct, echo, findscu, free_port, samples, send, string, until,
};

/// A node that takes objects from the sample sender and commits them to a modality, with such an audit trail.
fn scene(audit: &str) -> (Ferry, Modality) {
    let (ferry, modality) = (Ferry::new(), Modality::new());
    let sender = "[[peer]]\nae_title = \"SAMPLES\"\naddress = \"127.0.0.1:104\"\nallow = [\"store\"]\n";
    ferry.configure_with(&[], &format!("{}{sender}[audit]\n{audit}\n", modality.peer("[\"commit\"]")));
    (ferry, modality)
}

fn entries(ferry: &Ferry) -> Vec<Value> {
    ferry.json(&["audit", "--json"]).as_array().expect("a list").clone()
}

/// What came, each message once: after a break some come again.
fn received(inbox: &Inbox) -> Vec<String> {
    let mut seen = HashSet::new();
    inbox.lock().unwrap().iter().map(|message| xml(message)).filter(|xml| seen.insert(xml.clone())).collect()
}

/// The XML of a syslog message, whose header is as it must be.
fn xml(message: &str) -> String {
    let (head, xml) = message.split_once('\u{FEFF}').expect("a byte order mark");
    let fields: Vec<&str> = head.trim_end().split(' ').collect();
    let [pri, when, host, program, pid, id, data] = fields[..] else { panic!("{head}") };
    assert!(["<85>1", "<84>1"].contains(&pri), "{head}");
    assert!(when.parse::<jiff::Timestamp>().is_ok() && !host.is_empty() && pid.parse::<u32>().is_ok(), "{head}");
    assert_eq!((program, id, data), ("pacsferry", "DICOM+RFC3881", "-"));
    xml.to_owned()
}

/// Waits until the collector has every entry that there is now, in its order.
fn all_received(ferry: &Ferry, inbox: &Inbox) {
    let expected: Vec<String> = entries(ferry).iter().map(|entry| string(entry, "message")).collect();
    until("the collector has everything", PATIENCE, || (received(inbox).len() >= expected.len()).then_some(()));
    assert!(received(inbox)[..expected.len()] == expected, "not in order: {:#?}", received(inbox));
}

#[test]
fn who_asked_sent_and_was_turned_away_is_in_the_trail_and_patients_are_there_only() {
    let (ferry, modality) = scene("site = \"Ward 7\"");
    let node = ferry.serve();
    let samples = samples();
    let sent: Vec<&Sample> =
        distinct(&samples).into_iter().filter(|s| s.texts.contains_key("PatientName")).take(5).collect();
    assert_eq!(send(ferry.node, Ferry::NODE, &sent), vec![0; sent.len()]);
    assert!(echo(ferry.node, "MOD", "ELSEWHERE").is_err());
    let instances: Vec<_> = sent.iter().map(|s| (s.sop_class.clone(), s.sop_instance.clone())).collect();
    assert_eq!(modality.ask(&ferry, &Ask { stay: true, ..Ask::of("1.2.3.200", &instances) }).reports.len(), 1);
    let of = |entries: &[Value], event: &str| -> Vec<Value> {
        entries.iter().filter(|entry| entry["event"] == event).cloned().collect()
    };
    // An association's transfers are told at its end.
    let entries = until("the transfers are told", PATIENCE, || {
        Some(entries(&ferry)).filter(|entries| of(entries, "transfer").len() >= sent.len())
    });
    assert_eq!(string(&entries[0], "event"), "start");
    let count = |event: &str| of(&entries, event).len();
    assert_eq!([count("transfer begun"), count("transfer"), count("alert")], [5, 5, 1], "{entries:#?}");
    assert!(count("commitment") >= 1);
    let alert = &of(&entries, "alert")[0];
    assert_eq!((string(alert, "outcome"), string(alert, "who")), ("minor failure".into(), "MOD at 127.0.0.1".into()));
    let log = ferry.served();
    for sample in &sent {
        let study = sample.study.as_ref().unwrap();
        let told: Vec<String> = of(&entries, "transfer").iter().map(|entry| string(entry, "message")).collect();
        let message = told.iter().find(|m| m.contains(&format!("ParticipantObjectID=\"{study}\""))).expect("its study");
        assert!(message.contains("NumberOfInstances=\"1\"") && message.contains("AuditEnterpriseSiteID=\"Ward 7\""));
        if let Some(id) = sample.texts.get("PatientID").filter(|id| id.len() > 3 && id.is_ascii()) {
            assert!(message.contains(&format!("ParticipantObjectID=\"{id}\"")), "{message}");
            assert!(!log.contains(&format!("\"{id}\"")), "a patient in the log");
        }
    }
    drop(node);
    // For people, and of a time.
    let shown = ferry.run(&["audit", "--since", "1h"]);
    assert!(shown.out.contains("transaction 1.2.3.200: 5 instances"), "{}", shown.out);
    assert!(ferry.run(&["audit", "--since", "2999-01-01"]).out.contains("no entry"));
    assert!(of(&self::entries(&ferry), "audit read").len() >= 2);
    assert_eq!(ferry.run(&["audit", "--since", "soon"]).code, 2);
}

#[test]
fn what_happens_while_the_collector_is_away_is_sent_in_order_when_it_is_back() {
    let port = free_port();
    let (ferry, _modality) = scene(&format!("syslog = \"tcp://127.0.0.1:{port}\""));
    let inbox = Inbox::default();
    let node = ferry.serve();
    for _ in 0..3 {
        assert!(echo(ferry.node, "MOD", "ELSEWHERE").is_err());
    }
    until("the collector is missed", PATIENCE, || ferry.served().contains("the audit trail waits").then_some(()));
    let collector = Collector::plain(port, &inbox);
    all_received(&ferry, &inbox);
    drop(collector);
    // Away again, and then the node is killed.
    assert_eq!(send(ferry.node, Ferry::NODE, &distinct(&samples())[..2]), [0, 0]);
    until("the transfers are told", PATIENCE, || {
        let transfers = entries(&ferry).iter().filter(|entry| entry["event"] == "transfer").count();
        (transfers >= 2).then_some(())
    });
    drop(node);
    let _collector = Collector::plain(port, &inbox);
    let _node = ferry.serve();
    all_received(&ferry, &inbox);
    until("what was sent is known", PATIENCE, || entries(&ferry)[0]["sent"].as_bool().filter(|sent| *sent).map(|_| ()));
}

#[test]
fn queries_are_told_with_what_was_asked_and_requests_without_the_right_as_alerts() {
    let ferry = Ferry::new();
    let peer = |title: &str, rights: &str| {
        format!("[[peer]]\nae_title = \"{title}\"\naddress = \"127.0.0.1:104\"\nallow = {rights}\n")
    };
    ferry.configure_with(&[], &(peer("FINDER", "[\"query\"]") + &peer("SAMPLES", "[]")));
    let _node = ferry.serve();
    findscu(&ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=NOBODY77", "-k", "StudyInstanceUID"]);
    let query =
        until("the query is told", PATIENCE, || entries(&ferry).into_iter().find(|entry| entry["event"] == "query"));
    assert_eq!((string(&query, "who"), string(&query, "outcome")), ("FINDER at 127.0.0.1".into(), "success".into()));
    let message = string(&query, "message");
    assert!(message.contains("ParticipantObjectID=\"1.2.840.10008.5.1.4.1.2.2.1\""), "{message}");
    let (_, asked) = message.split_once("<ParticipantObjectQuery>").unwrap();
    assert!(asked.len() > 60 && !message.contains("NOBODY77"), "as base64: {message}");
    assert!(!ferry.served().contains("NOBODY77"), "a patient in the log");
    // A peer that may do nothing asks what it may not: told as an alert, with the right that it lacks.
    let mut command = std::process::Command::new("findscu");
    command.args(["-S", "-aet", "SAMPLES", "-aec", Ferry::NODE, "-k", "QueryRetrieveLevel=STUDY"]);
    command.args(["-k", "StudyInstanceUID", "127.0.0.1", &ferry.node.to_string()]);
    assert!(!command.output().unwrap().status.success());
    let alert =
        until("the alert is told", PATIENCE, || entries(&ferry).into_iter().find(|entry| entry["event"] == "alert"));
    assert_eq!(string(&alert, "who"), "SAMPLES at 127.0.0.1");
    assert!(string(&alert, "what").contains("\"query\""), "{alert}");
}
