//! Retrieves that do not go as they should: files that are gone, receivers that refuse, break off or are not there,
//! cancels, requests that make no sense. What happened is counted, listed, and told with what to do about it.

use std::collections::BTreeSet;

use pacsferry::assoc::{Proposal, Proposed, RequestTimeouts, request};
use pacsferry::dataset::Elements;
use pacsferry::dicom::{AeTitle, Encoding, SopClassUid, SopInstanceUid, Status, Tag, TransferSyntaxUid, tags, uids};
use pacsferry::dimse::{Command, Session};
use pacsferry::sample::Archive;

use crate::support::destination::{Destination, Verdict};
use crate::support::medium::Medium;
use crate::support::peers::{Ferry, PATIENCE, Server, free_port};
use crate::support::viewer::{self, Kinds, get_judged, instances, move_to, peer, study};

const DESTINATION: &str = "WORKSTATION";

/// A node with an archive that lies in a folder elsewhere, one CT study of so many instances.
struct Site {
    ferry: Ferry,
    medium: Medium,
    study: String,
    instances: Vec<SopInstanceUid>,
    kinds: Kinds,
    _node: Server,
}

impl Site {
    fn new(count: usize, destination: u16) -> Site {
        let archive = Archive::with(|archive| {
            archive.study("20240501").series("CT").instances(count, 2_000);
        });
        let medium = Medium::of(&archive);
        let ferry = Ferry::new();
        ferry.configure_with(&[], &[peer(viewer::AE_TITLE, 104), peer(DESTINATION, destination)].concat());
        let done = ferry.run(&["import", medium.name(), "--link"]);
        assert_eq!(done.code, 0, "{}{}", done.out, done.err);
        let objects = archive.objects();
        let kinds: BTreeSet<_> =
            objects.iter().map(|o| (o.identity.class.clone(), o.transfer_syntax.clone())).collect();
        Site {
            study: objects[0].identity.study.to_string(),
            instances: objects.iter().map(|object| object.identity.instance.clone()).collect(),
            kinds: kinds.into_iter().map(|(class, syntax)| (class, vec![syntax])).collect(),
            _node: ferry.serve(),
            medium,
            ferry,
        }
    }

    /// Takes the file of an instance away.
    fn lose(&self, instance: usize) {
        std::fs::remove_file(self.medium.path().join(format!("study0/IM{instance:05}"))).unwrap();
    }
}

#[test]
fn counters_and_the_list_of_failures_say_what_became_of_each_object() {
    let site = Site::new(20, free_port());
    site.lose(3);
    let (refused, twice) = (site.instances[5].clone(), site.instances[7].clone());
    let judge = {
        let (refused, twice) = (refused.clone(), twice.clone());
        move |uid: &SopInstanceUid| {
            Status(if *uid == refused {
                0xA700
            } else if *uid == twice {
                0x0111
            } else {
                0
            })
        }
    };
    let seen = get_judged(site.ferry.node, &site.kinds, &study(&site.study), judge, None);
    assert_eq!(seen.end.status, Status::SUB_OPERATIONS_WITH_FAILURES, "{:?}", seen.end);
    let counters = seen.end.counters;
    assert_eq!((counters.completed, counters.failed, counters.warning), (Some(17), Some(2), Some(1)));
    let failed: BTreeSet<_> = seen.end.failed.iter().collect();
    assert_eq!(failed, BTreeSet::from([&refused, &site.instances[3]]));
    assert_eq!(seen.received.len(), 19);
    // Every pending response counts all of them.
    let pending: Vec<_> =
        seen.progress.iter().filter(|p| p.status.is_pending() && p.counters.remaining.is_some()).collect();
    assert!(!pending.is_empty());
    for progress in pending {
        let c = progress.counters;
        let sum: u16 = [c.remaining, c.completed, c.failed, c.warning].into_iter().flatten().sum();
        assert_eq!(sum, 20, "{c:?}");
    }
    let log = site.ferry.served();
    assert!(log.contains(site.instances[3].as_str()) && log.contains("bring the file back"), "{log}");
}

#[test]
fn where_nothing_arrives_the_retrieve_is_refused() {
    let site = Site::new(3, free_port());
    let seen = get_judged(site.ferry.node, &site.kinds, &study(&site.study), |_| Status(0xC000), None);
    assert_eq!((seen.end.status, seen.end.failed.len()), (Status(0xA702), 3));
    // A class that the viewer does not take.
    let other = vec![(SopClassUid::new("1.2.3"), vec![TransferSyntaxUid::new(uids::EXPLICIT_LE)])];
    let seen = get_judged(site.ferry.node, &other, &study(&site.study), |_| Status::SUCCESS, None);
    assert_eq!((seen.end.status, seen.end.failed.len()), (Status(0xA702), 3));
    // What is not there is no failure.
    let seen = get_judged(site.ferry.node, &site.kinds, &study("1.2.3.4"), |_| Status::SUCCESS, None);
    assert_eq!((seen.end.status, seen.end.counters.completed), (Status::SUCCESS, Some(0)));
    let some = instances(&site.study, "1.2.3", &[site.instances[0].as_str()]);
    let seen = get_judged(site.ferry.node, &site.kinds, &some, |_| Status::SUCCESS, None);
    assert_eq!((seen.end.status, seen.received.len()), (Status::SUCCESS, 0));
}

#[test]
fn a_cancel_ends_a_retrieve_and_says_what_remains() {
    let destination = Destination::start(|_| Verdict::Answer(0));
    let site = Site::new(600, destination.port);
    let get = get_judged(site.ferry.node, &site.kinds, &study(&site.study), |_| Status::SUCCESS, Some(3));
    let moved = move_to(site.ferry.node, DESTINATION, &study(&site.study), Some(1));
    for (seen, arrived) in [(&get, get.received.len()), (&moved, destination.heard().len())] {
        assert!(seen.end.cancelled && seen.end.status == Status::CANCEL, "{:?}", seen.end);
        let (remaining, completed) = (seen.end.counters.remaining.unwrap(), seen.end.counters.completed.unwrap());
        assert_eq!((usize::from(completed), completed + remaining), (arrived, 600));
        assert!(remaining > 0);
    }
}

#[test]
fn objects_go_to_configured_peers_only_and_carry_who_asked_for_them() {
    let destination = Destination::start(|n| Verdict::Answer([0, 0xB007, 0x0111][n % 3]));
    let site = Site::new(6, destination.port);
    let moved = move_to(site.ferry.node, DESTINATION, &study(&site.study), None);
    let counters = moved.end.counters;
    assert_eq!((counters.completed, counters.warning, counters.failed), (Some(2), Some(4), Some(0)));
    assert_eq!((moved.end.status, moved.end.failed.len()), (Status(0xB000), 0), "warnings are told");
    let heard = destination.heard();
    let ids: BTreeSet<_> = heard.iter().map(|command| command.message_id).collect();
    assert_eq!((heard.len(), ids.len(), destination.associations()), (6, 6, 1));
    assert!(heard.iter().all(|command| command.originator == Some((viewer::AE_TITLE.to_owned(), 1))), "{heard:?}");
    let order: Vec<_> = heard.into_iter().map(|command| command.instance.unwrap()).collect();
    assert_eq!(order, site.instances, "by instance number");

    for (unknown, comment) in
        [("NOBODY", "no [[peer]] of this archive is called NOBODY"), (Ferry::NODE, "this archive")]
    {
        let refused = move_to(site.ferry.node, unknown, &study(&site.study), None);
        assert_eq!(refused.end.status, Status::MOVE_DESTINATION_UNKNOWN);
        assert!(refused.end.comment.as_deref().is_some_and(|said| said.contains(comment)), "{:?}", refused.end);
    }
    drop(destination);
    let gone = move_to(site.ferry.node, DESTINATION, &study(&site.study), None);
    assert_eq!((gone.end.status, gone.end.failed.len()), (Status(0xA702), 6));
    assert!(gone.end.comment.as_deref().is_some_and(|said| said.contains("cannot be reached")), "{:?}", gone.end);
    assert!(site.ferry.served().contains("the destination of a C-MOVE cannot be reached"));
}

#[test]
fn an_association_that_breaks_costs_one_object_and_is_opened_again() {
    let destination = Destination::start(|n| if n == 2 { Verdict::Abort } else { Verdict::Answer(0) });
    let site = Site::new(8, destination.port);
    let moved = move_to(site.ferry.node, DESTINATION, &study(&site.study), None);
    assert_eq!((moved.end.status, moved.end.failed.as_slice()), (Status(0xB000), &site.instances[2..3]));
    assert_eq!((destination.associations(), destination.heard().len()), (2, 8));
    // One that does nothing else is left alone soon.
    let hopeless = Destination::start(|_| Verdict::Abort);
    let site = Site::new(8, hopeless.port);
    let moved = move_to(site.ferry.node, DESTINATION, &study(&site.study), None);
    assert_eq!((moved.end.status, moved.end.failed.len(), hopeless.associations()), (Status(0xA702), 8, 2));
}

#[test]
fn more_kinds_of_objects_than_presentation_contexts_take_more_associations() {
    let destination = Destination::start(|_| Verdict::Answer(0));
    let medium = Medium::new();
    for number in 0..150 {
        let (class, uid) = (format!("1.2.826.0.1.3680043.9.{number}"), format!("1.2.3.4.{number}"));
        let mut elements = Elements::new();
        elements.put(tags::SOP_CLASS_UID, &class).put(tags::SOP_INSTANCE_UID, &uid);
        elements.put(tags::STUDY_INSTANCE_UID, "1.2.3").put(tags::SERIES_INSTANCE_UID, "1.2.3.4");
        let mut bytes = pacsferry::dataset::write_part10_head(&class, &uid, uids::EXPLICIT_LE, None);
        bytes.extend_from_slice(&elements.write(Encoding::ExplicitLe));
        medium.put(format!("{number}"), &bytes);
    }
    let ferry = Ferry::new();
    ferry.configure_with(&[], &[peer(viewer::AE_TITLE, 104), peer(DESTINATION, destination.port)].concat());
    assert_eq!(ferry.run(&["import", medium.name(), "--copy"]).code, 0);
    let _node = ferry.serve();
    let moved = move_to(ferry.node, DESTINATION, &study("1.2.3"), None);
    assert_eq!((moved.end.status, moved.end.counters.completed), (Status::SUCCESS, Some(150)));
    assert_eq!((destination.heard().len(), destination.associations()), (150, 3));
}

#[test]
fn many_large_objects_at_once_take_little_memory() {
    const AT_ONCE: usize = 16;
    const PIXELS: usize = 32 << 20;
    let (class, uid) = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.3.4.5");
    let mut elements = Elements::new();
    elements.put(tags::SOP_CLASS_UID, class).put(tags::SOP_INSTANCE_UID, uid);
    elements.put(tags::STUDY_INSTANCE_UID, "1.2.3").put(tags::SERIES_INSTANCE_UID, "1.2.3.4");
    elements.put_bytes(tags::PIXEL_DATA, *b"OW", &vec![7; PIXELS]);
    let data = elements.write(Encoding::ExplicitLe);
    let medium = Medium::new();
    let head = pacsferry::dataset::write_part10_head(class, uid, uids::EXPLICIT_LE, None);
    medium.put("large", &[head.as_slice(), &data].concat());
    let ferry = Ferry::new();
    ferry.configure_with(&[], &peer(viewer::AE_TITLE, 104));
    assert_eq!(ferry.run(&["import", medium.name(), "--link"]).code, 0);
    let (port, node) = (ferry.node, ferry.serve());
    // One half as it is held, one half converted.
    std::thread::scope(|scope| {
        let retrieves: Vec<_> = (0..AT_ONCE)
            .map(|n| {
                let syntax = if n % 2 == 0 { uids::EXPLICIT_LE } else { uids::EXPLICIT_BE };
                let kinds = vec![(SopClassUid::new(class), vec![TransferSyntaxUid::new(syntax)])];
                scope.spawn(move || viewer::get_length(port, &kinds, &study("1.2.3")))
            })
            .collect();
        for retrieve in retrieves {
            assert_eq!(retrieve.join().unwrap(), data.len() as u64);
        }
    });
    let peak = node.peak_memory();
    assert!(peak < 128 << 20, "{} MiB", peak >> 20);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_is_wrong() {
    let site = Site::new(1, free_port());
    let ask = |keys: &[(Tag, &str)]| -> Command {
        let mut identifier = Elements::new();
        for (tag, value) in keys {
            identifier.put(*tag, value);
        }
        answer_to(site.ferry.node, &identifier.write(Encoding::ImplicitLe))
    };
    for (keys, status, offending) in [
        (&[(tags::STUDY_INSTANCE_UID, "1.2")][..], 0xA900, Some(tags::QUERY_RETRIEVE_LEVEL)),
        (&[(tags::QUERY_RETRIEVE_LEVEL, "STUDY")], 0xA900, Some(tags::STUDY_INSTANCE_UID)),
        (&[(tags::QUERY_RETRIEVE_LEVEL, "PATIENT"), (tags::PATIENT_ID, "1")], 0xA900, Some(tags::QUERY_RETRIEVE_LEVEL)),
        (&[(tags::QUERY_RETRIEVE_LEVEL, "STUDY"), (tags::STUDY_INSTANCE_UID, "1.2")], 0x0000, None),
    ] {
        let answer = ask(keys);
        assert_eq!((answer.status, answer.offending.first().copied()), (Some(Status(status)), offending), "{answer:?}");
        assert_eq!(answer.comment.is_some(), status != 0);
    }
    assert_eq!(answer_to(site.ferry.node, b"\x08\0\x52\0\xff\xff\0\0STUDY").status, Some(Status(0xC000)));
}

/// The answer to a C-GET with this identifier.
fn answer_to(port: u16, identifier: &[u8]) -> Command {
    let context = Proposed {
        abstract_syntax: uids::STUDY_ROOT_GET.into(),
        transfer_syntaxes: vec![uids::IMPLICIT_LE.into()],
        scp_role: None,
    };
    let proposal = Proposal {
        called: AeTitle::new(Ferry::NODE).unwrap(),
        calling: AeTitle::new(viewer::AE_TITLE).unwrap(),
        contexts: vec![context],
        max_pdu: 16_384,
        extended: Vec::new(),
        tls: None,
        identity: None,
    };
    let timeouts = RequestTimeouts { connect: PATIENCE, negotiate: PATIENCE };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut session = Session::new(request("127.0.0.1", port, &proposal, &timeouts).await.unwrap());
        session.send(1, &Command::get_rq(1, uids::STUDY_ROOT_GET), Some(identifier), PATIENCE).await.unwrap();
        let (_, answer) = session.receive(PATIENCE).await.unwrap().expect("an answer");
        session.release(PATIENCE).await;
        answer
    })
}
