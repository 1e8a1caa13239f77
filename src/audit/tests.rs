//! What becomes of an event: the XML that PS3.15 A.5.1 asks for, in the catalog, with nothing lost in silence.

use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::event::{Alert, AuditOutcome, StudyObjects};
use super::*;
use crate::catalog::AuditEntry;
use crate::config;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

struct Scene {
    _folder: tempfile::TempDir,
    catalog: Catalog,
    config: watch::Receiver<Arc<Config>>,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
    let text = "[audit]\nsource = \"FERRY & <Co>\"\nsite = \"Ward \\\"7\\\"\"";
    let config = config::parse(text, Some(Path::new("x.toml"))).unwrap();
    let (_, config) = watch::channel(Arc::new(config));
    Scene { _folder: folder, catalog, config }
}

impl Scene {
    /// Records, and reads what is in the catalog after the task has ended.
    async fn after(&self, tell: impl FnOnce(&Audit)) -> Vec<AuditEntry> {
        let stop = CancellationToken::new();
        let (audit, work) = Audit::new(self.catalog.clone(), self.config.clone(), "serve", stop);
        tell(&audit);
        drop(audit);
        work.await;
        self.catalog.audit_since(0, 0, 10_000).await.unwrap()
    }
}

fn peer() -> Party {
    let user = Some("dr.\u{7}who <&\"'>".to_owned());
    Party { name: "CT1".into(), address: Some([10, 0, 0, 7].into()), user }
}

fn objects(study: &str) -> StudyObjects {
    StudyObjects { study: study.into(), classes: vec![(CT.into(), 3)] }
}

fn every_kind() -> Vec<AuditEvent> {
    let minor = || AuditOutcome::Minor("disk \u{0} full".into());
    let transfer = |phase, way, requestor| AuditEvent::Transfer {
        phase,
        way,
        peer: peer(),
        requestor,
        objects: objects("1.2.3"),
        outcome: AuditOutcome::Success,
    };
    let mut undo = CorrectionEvent::new("anna", CorrectionAction::Undo, minor());
    undo.reason = "WRONG_STUDY: \u{7}<late>".into();
    undo.studies = vec![objects("1.2.3"), objects("1.2.4")];
    vec![
        AuditEvent::Application { what: "pacsferry serve".into(), started: true },
        AuditEvent::Application { what: "pacsferry serve".into(), started: false },
        AuditEvent::Security { alert: Alert::NodeAuthentication, who: Party::default(), what: "nobody".into() },
        AuditEvent::Security { alert: Alert::RestrictedFunction, who: peer(), what: "C-MOVE".into() },
        AuditEvent::Authentication { who: peer(), outcome: minor() },
        AuditEvent::SignedOut { who: Party::person("anna & <co>", [10, 0, 0, 8].into()) },
        AuditEvent::Viewed { who: Party::person("anna", [10, 0, 0, 8].into()), study: objects("1.2.3") },
        AuditEvent::Security {
            alert: Alert::RolesChanged,
            who: Party::person("anna", [10, 0, 0, 8].into()),
            what: "the roles of ben".into(),
        },
        AuditEvent::query(
            peer(),
            "1.2.840.10008.5.1.4.1.2.2.1",
            &[0, 1, 254, 255],
            "1.2.840.10008.1.2",
            AuditOutcome::Success,
        ),
        transfer(Phase::Begun, Way::In, None),
        transfer(Phase::Ended, Way::In, None),
        transfer(Phase::Ended, Way::Out, Some(peer())),
        AuditEvent::Commitment {
            who: peer(),
            transaction: "1.2.9".into(),
            objects: vec![objects("1.2.3"), objects("1.2.4")],
            outcome: minor(),
        },
        AuditEvent::Job { id: 7, what: "migration of oldpacs".into(), phase: Phase::Begun, outcome: minor() },
        AuditEvent::Operated { operator: "anna".into(), id: 7, what: "paused \u{7}<b>".into() },
        AuditEvent::Prepared { operator: "schedule".into(), what: "lifted 3 studies".into() },
        AuditEvent::Correction(undo),
        AuditEvent::LogUsed,
    ]
}

/// An element: its path below the root, and its attributes.
type Element = (String, Vec<(String, String)>);

/// Parses a message to its end; a parser that complains fails the test.
fn parse(xml: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let (mut path, mut found) = (Vec::new(), Vec::new());
    loop {
        let event = reader.read_event().unwrap();
        let (Event::Start(tag) | Event::Empty(tag)) = &event else {
            match event {
                Event::End(_) => drop(path.pop()),
                Event::Eof => break,
                _ => {}
            }
            continue;
        };
        path.push(tag.name().as_ref().to_owned());
        let attributes = tag.attributes().map(|attribute| {
            let attribute = attribute.unwrap();
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap().into_owned();
            (attribute.key.as_ref().to_owned(), value)
        });
        found.push((path.join("/"), attributes.collect()));
        if matches!(event, Event::Empty(_)) {
            path.pop();
        }
    }
    assert!(path.is_empty(), "{path:?} is open");
    found
}

fn value<'a>(elements: &'a [Element], path: &str, attribute: &str) -> Vec<&'a str> {
    let of = elements.iter().filter(|(at, _)| at == path).flat_map(|(_, attributes)| attributes);
    of.filter(|(name, _)| name == attribute).map(|(_, value)| value.as_str()).collect()
}

#[tokio::test]
async fn every_message_has_what_the_schema_demands_in_its_order() {
    let scene = scene();
    let entries = scene.after(|audit| every_kind().into_iter().for_each(|event| audit.record(event))).await;
    assert_eq!(entries.len(), every_kind().len());
    for entry in &entries {
        let xml = &entry.message;
        assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage>"), "{xml}");
        assert!(xml.chars().all(|c| !c.is_control()), "{xml}");
        let elements = parse(xml);
        let top: Vec<&str> = elements
            .iter()
            .filter_map(|(path, _)| path.strip_prefix("AuditMessage/").filter(|rest| !rest.contains('/')))
            .collect();
        let order = [
            "EventIdentification",
            "ActiveParticipant",
            "AuditSourceIdentification",
            "ParticipantObjectIdentification",
        ];
        assert!(top.is_sorted_by_key(|name| order.iter().position(|o| o == name).unwrap()), "{top:?}");
        for (name, most) in [("EventIdentification", 1), ("ActiveParticipant", 9), ("AuditSourceIdentification", 1)] {
            assert!((1..=most).contains(&top.iter().filter(|n| **n == name).count()), "{top:?}");
        }
        let event = "AuditMessage/EventIdentification";
        assert_eq!(value(&elements, event, "EventOutcomeIndicator"), [entry.outcome.to_string()]);
        let when = value(&elements, event, "EventDateTime")[0].parse::<jiff::Timestamp>().unwrap();
        assert_eq!(when.as_millisecond(), entry.at);
        let source = "AuditMessage/AuditSourceIdentification";
        assert_eq!(value(&elements, source, "AuditSourceID"), ["FERRY & <Co>"]);
        assert_eq!(value(&elements, source, "AuditEnterpriseSiteID"), ["Ward \"7\""]);
        for (path, attributes) in &elements {
            let required: &[&str] = match path.rsplit('/').next().unwrap() {
                "EventID" | "EventTypeCode" | "RoleIDCode" | "ParticipantObjectIDTypeCode" => {
                    &["csd-code", "codeSystemName", "originalText"]
                }
                "ActiveParticipant" => &["UserID", "UserIsRequestor"],
                "ParticipantObjectIdentification" => &["ParticipantObjectID"],
                "ParticipantObjectDetail" => &["type", "value"],
                "SOPClass" => &["NumberOfInstances"],
                _ => &[],
            };
            for name in required {
                assert!(attributes.iter().any(|(known, _)| known == name), "{path} without {name}: {xml}");
            }
        }
        let objects = top.iter().filter(|name| **name == "ParticipantObjectIdentification").count();
        let below = |name: &str| {
            let path = format!("AuditMessage/ParticipantObjectIdentification/{name}");
            elements.iter().filter(|(at, _)| *at == path).count()
        };
        // Each has a type of its id, and a name or a query.
        assert_eq!(below("ParticipantObjectIDTypeCode"), objects);
        assert_eq!(below("ParticipantObjectName") + below("ParticipantObjectQuery"), objects);
    }
}

#[tokio::test]
async fn the_events_have_the_codes_of_the_standard() {
    let scene = scene();
    let entries = scene.after(|audit| every_kind().into_iter().for_each(|event| audit.record(event))).await;
    let codes: Vec<(String, String, String)> = entries
        .iter()
        .map(|entry| {
            let elements = parse(&entry.message);
            let event = "AuditMessage/EventIdentification";
            let one = |path: &str, name| value(&elements, path, name).first().copied().unwrap_or("").to_owned();
            (
                one(&format!("{event}/EventID"), "csd-code"),
                one(&format!("{event}/EventTypeCode"), "csd-code"),
                one(event, "EventActionCode"),
            )
        })
        .collect();
    let expected = [
        ("110100", "110120", "E"),
        ("110100", "110121", "E"),
        ("110113", "110126", "E"),
        ("110113", "110132", "E"),
        ("110114", "110122", "E"),
        ("110114", "110123", "E"),
        ("110103", "", "R"),
        ("110113", "110136", "E"),
        ("110112", "", "E"),
        ("110102", "", "E"),
        ("110104", "", "C"),
        ("110104", "", "R"),
        ("110103", "commitment", "R"),
        ("110107", "job-begun", "C"),
        ("110107", "job-operated", "U"),
        ("110107", "job-operated", "U"),
        ("110103", "undo", "U"),
        ("110101", "", "R"),
    ];
    assert_eq!(codes, expected.map(|(a, b, c)| (a.into(), b.into(), c.into())));
    let query = &entries[8].message;
    assert!(query.contains("<ParticipantObjectQuery>AAH+/w==</ParticipantObjectQuery>"), "{query}");
    let elements = parse(query);
    let detail = "AuditMessage/ParticipantObjectIdentification/ParticipantObjectDetail";
    assert_eq!(value(&elements, detail, "type"), ["TransferSyntax"]);
    assert_eq!(value(&elements, detail, "value"), ["MS4yLjg0MC4xMDAwOC4xLjI="]);
    // Who asked, the person at it, and who answered.
    assert_eq!(value(&elements, "AuditMessage/ActiveParticipant", "UserIsRequestor"), ["true", "true", "false"]);
    assert_eq!(value(&elements, "AuditMessage/ActiveParticipant", "UserID")[1], "dr.\u{FFFD}who <&\"'>");
}

#[tokio::test]
async fn what_must_not_be_missing_is_written_at_once() {
    let scene = scene();
    let (audit, _never_run) = Audit::new(scene.catalog.clone(), scene.config.clone(), "undo", CancellationToken::new());
    let refused = || CorrectionEvent::new("anna", CorrectionAction::Undo, AuditOutcome::Minor("no right".into()));
    let entry = audit.entry(AuditEvent::Correction(refused())).await.unwrap();
    assert_eq!((entry.event, entry.outcome, entry.who.as_str()), ("undo", 4, "anna"));
    assert!(scene.catalog.audit_since(0, 0, 10).await.unwrap().is_empty());
    audit.write(AuditEvent::Correction(refused())).await.unwrap();
    let written = scene.catalog.audit_since(0, 0, 10).await.unwrap();
    assert_eq!((written.len(), written[0].message.contains("csd-code=\"undo\"")), (1, true));
}

#[tokio::test]
async fn a_query_beyond_all_measure_is_cut_and_says_so() {
    let scene = scene();
    let query = |length| AuditEvent::query(peer(), "1.2", &vec![7; length], "1.2", AuditOutcome::Success);
    let lengths = [16 * 1024, 16 * 1024 + 1, 1 << 20];
    let entries = scene.after(|audit| lengths.into_iter().for_each(|length| audit.record(query(length)))).await;
    for (entry, cut) in entries.iter().zip([false, true, true]) {
        assert!(entry.message.len() < 32 * 1024);
        assert_eq!(entry.message.contains("\"QueryLength\""), cut);
    }
}

#[tokio::test]
async fn transfers_are_told_by_study_and_what_failed_by_itself() {
    let scene = scene();
    let entries = scene
        .after(|audit| {
            let mut transfers = audit.transfers(Way::Out, peer(), None);
            for n in 0..1000 {
                transfers.object(if n % 2 == 0 { "1.1" } else { "1.2" }, CT, None);
            }
            transfers.object("1.1", CT, Some("the receiver refused it"));
        })
        .await;
    let told: Vec<(&str, u8, &str)> =
        entries.iter().map(|entry| (entry.event.as_str(), entry.outcome, entry.what.as_str())).collect();
    let to = "CT1 at 10.0.0.7 (dr.\u{7}who <&\"'>)";
    assert_eq!(
        told,
        [
            ("transfer begun", 0, format!("study 1.1 to {to}").as_str()),
            ("transfer begun", 0, &format!("study 1.2 to {to}")),
            ("transfer", 0, &format!("500 instances of study 1.1 to {to}")),
            ("transfer", 4, &format!("1 instance of study 1.1 to {to}: the receiver refused it")),
            ("transfer", 0, &format!("500 instances of study 1.2 to {to}")),
        ]
    );
}

#[tokio::test]
async fn an_association_with_any_number_of_studies_is_bounded_and_counted_whole() {
    let scene = scene();
    let entries = scene
        .after(|audit| {
            let mut transfers = audit.transfers(Way::In, peer(), None);
            for n in 0..300 {
                transfers.object(&format!("1.2.{n}"), &format!("1.3.{n}"), None);
                assert!(transfers.remembered() <= 64);
            }
        })
        .await;
    let of = |event: &str| entries.iter().filter(|entry| entry.event == event).count();
    assert_eq!((of("transfer begun"), of("transfer")), (300, 300));
}

#[tokio::test]
async fn what_does_not_fit_is_counted_and_told() {
    let scene = scene();
    let more: u64 = 17;
    let entries = scene
        .after(|audit| {
            for n in 0..(QUEUE as u64 + more) {
                audit.record(AuditEvent::Application { what: n.to_string(), started: true });
            }
        })
        .await;
    let gaps: Vec<&AuditEntry> = entries.iter().filter(|entry| entry.event == "alert").collect();
    assert_eq!((entries.len(), gaps.len()), (QUEUE + 1, 1));
    assert_eq!(gaps[0].what, "17 events were lost: more came than the catalog could take");
    assert_eq!(gaps[0].outcome, 8);
}

#[tokio::test]
async fn old_entries_and_surplus_ones_are_forgotten_and_those_that_nobody_has_are_counted() {
    let scene = scene();
    let entries = scene.after(|audit| (0..10).for_each(|_| audit.record(every_kind().remove(0)))).await;
    let catalog = &scene.catalog;
    catalog.set_audit_sent(entries[2].id).await.unwrap();
    assert_eq!(catalog.forget_audit(0, 100).await.unwrap().entries, 0);
    let gone = catalog.forget_audit(0, 6).await.unwrap();
    assert_eq!((gone.entries, gone.unsent), (4, 1));
    let gone = catalog.forget_audit(now() + 1, 100).await.unwrap();
    assert_eq!((gone.entries, gone.unsent), (6, 6));
    assert!(catalog.audit_after(0, 10).await.unwrap().is_empty());
}
