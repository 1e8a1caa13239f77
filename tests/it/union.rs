//! With `union`, the node shows what is listed and not filed yet, and fetches it first when somebody asks: through the
//! ledger and the limits of the job, once for all who wait.

use std::collections::BTreeMap;
use std::time::Duration;

use pacsferry::dicom::{SopClassUid, Status, TransferSyntaxUid, uids};
use pacsferry::sample::{Archive, Event, Profile};
use serde_json::json;

use crate::support::console::{first_password, signed_in};
use crate::support::peers::{Ferry, Question, Server, until};
use crate::support::running::Running;
use crate::support::scene::{SOURCE, Scene};
use crate::support::viewer::{self, Kinds};

const LONG: Duration = Duration::from_secs(90);
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// A new study that takes its time, and some behind it.
pub(crate) fn slow() -> (Archive, Profile) {
    let archive = Archive::with(|b| {
        let study = b.study("20240105");
        for _ in 0..10 {
            study.series("CT").instances(20, 2000);
        }
        b.studies("20230101", 5, 3);
    });
    (archive, Profile { store_pause: Duration::from_millis(60), ..Profile::default() })
}

/// The migration in one process and the node in another.
pub(crate) struct Both {
    pub(crate) scene: Scene,
    _node: Server,
    pub(crate) migration: Running,
}

impl Both {
    /// Begun, and everything listed; what is asked for first stands last in the queue.
    pub(crate) fn under_way(keys: &[(&str, &str)]) -> Both {
        Both::with(slow(), keys, "")
    }

    /// The same of another archive, with more in its configuration.
    pub(crate) fn with((archive, profile): (Archive, Profile), keys: &[(&str, &str)], more: &str) -> Both {
        let studies = archive.studies().len();
        let scene = Scene::keyed(archive, profile, keys);
        let file = scene.ferry.folder().join("pacsferry.toml");
        let text = std::fs::read_to_string(&file).unwrap().replace("[node]\n", "[node]\nunion = true\n") + more;
        #[expect(clippy::disallowed_methods, reason = "the configuration of the test")]
        std::fs::write(&file, text).unwrap();
        let migration = Running::start(&scene.ferry, &["migrate", SOURCE]);
        until("objects", LONG, || (scene.pacs.objects_sent() >= 5).then_some(()));
        until("the whole list", LONG, || (scene.report().0["studies"].as_array()?.len() == studies).then_some(()));
        let node = scene.ferry.serve();
        Both { scene, _node: node, migration }
    }

    /// The study that would be pulled last.
    pub(crate) fn last(&self) -> String {
        let report = self.scene.report();
        let studies = report.0["studies"].as_array().unwrap();
        let last = studies.iter().min_by_key(|study| (study["study_date"].to_string(), study["study_uid"].to_string()));
        last.unwrap()["study_uid"].as_str().unwrap().to_owned()
    }

    pub(crate) fn retrieves_of(&self, study: &str) -> usize {
        let is_of = |event: &Event| matches!(event, Event::Retrieve(request) if request.studies == [study]);
        self.scene.pacs.log().iter().filter(|entry| is_of(&entry.event)).count()
    }
}

pub(crate) fn kinds() -> Kinds {
    vec![(SopClassUid::new(CT), vec![TransferSyntaxUid::new(uids::EXPLICIT_LE)])]
}

/// The studies that match, each with its availability and its number of instances.
fn asked_for(ferry: &Ferry, key: &str, value: &str) -> Vec<(String, String, String)> {
    let mut keys = json!({
        "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "StudyDate": "", "NumberOfStudyRelatedInstances": "",
    });
    keys[key] = value.into();
    let answers = Question::of("S", keys).ask(ferry);
    assert_eq!(answers.status, 0, "{answers:?}");
    let text = |row: &BTreeMap<String, String>, keyword| row.get(keyword).cloned().unwrap_or_default();
    let row = |row| {
        let [uid, availability, instances] =
            ["StudyInstanceUID", "InstanceAvailability", "NumberOfStudyRelatedInstances"].map(|key| text(row, key));
        (uid, availability, instances)
    };
    answers.rows.iter().map(row).collect()
}

#[test]
fn a_study_that_is_not_there_yet_is_shown_and_fetched_before_all_others() {
    let both = Both::under_way(&[("associations", "2")]);
    let ferry = &both.scene.ferry;
    let all = asked_for(ferry, "StudyDate", "");
    assert_eq!(all.len(), 6, "{all:?}");
    assert!(all.iter().all(|(_, availability, _)| availability == "NEARLINE"), "{all:?}");
    let newest = asked_for(ferry, "StudyDate", "20240101-");
    assert!(matches!(newest.as_slice(), [(_, _, count)] if count == "200"), "{newest:?}");
    let last = both.last();
    let seen = viewer::get(ferry.node, &kinds(), &viewer::study(&last));
    assert_eq!((seen.end.status, seen.received.len()), (Status::SUCCESS, 3), "{:?}", seen.end);
    // While the new one is still under way, and the others have not begun.
    let report = both.scene.report();
    assert_eq!(report.item("proven"), 1, "{}", report.0);
    let row = asked_for(ferry, "StudyInstanceUID", &last);
    assert!(
        matches!(row.as_slice(), [(_, availability, count)] if availability == "ONLINE" && count == "3"),
        "{row:?}"
    );
    assert_eq!(asked_for(ferry, "StudyDate", "").len(), 6);
}

#[test]
fn ten_nodes_that_ask_for_one_study_cause_one_pull() {
    let both = Both::under_way(&[("associations", "2")]);
    let last = both.last();
    std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| viewer::get(both.scene.ferry.node, &kinds(), &viewer::study(&last))))
            .collect();
        for node in nodes {
            let seen = node.join().unwrap();
            assert_eq!((seen.end.status, seen.received.len()), (Status::SUCCESS, 3), "{:?}", seen.end);
        }
    });
    assert_eq!(both.retrieves_of(&last), 1);
}

#[test]
fn a_study_that_cannot_be_had_is_a_clear_failure() {
    let both = Both::under_way(&[("associations", "1")]);
    let ferry = &both.scene.ferry;
    let last = both.last();
    let done = ferry.run(&["job", "last", "pause"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let seen = viewer::get(ferry.node, &kinds(), &viewer::study(&last));
    assert_eq!(seen.end.status, Status::UNABLE_TO_PERFORM_SUB_OPERATIONS, "{:?}", seen.end);
    let comment = format!("{:?}", seen.end);
    assert!(comment.contains("still on oldpacs") && comment.contains("is paused"), "{comment}");
    // What is filed in part goes out, and the rest is counted as failed.
    let newest = asked_for(ferry, "StudyDate", "20240101-")[0].0.clone();
    let seen = viewer::get(ferry.node, &kinds(), &viewer::study(&newest));
    assert_eq!(seen.end.status, Status::SUB_OPERATIONS_WITH_FAILURES, "{:?}", seen.end);
    assert!(!seen.received.is_empty() && seen.received.len() < 200, "{}", seen.received.len());
}

#[test]
fn the_console_shows_what_is_not_filed_and_fetches_it() {
    let both = Both::under_way(&[("associations", "2")]);
    let ferry = &both.scene.ferry;
    let last = both.last();
    first_password(ferry);
    let browser = signed_in(ferry, "anna", "administrator");
    let listed = |query: &str| {
        let answer = browser.get(&format!("/api/v1/studies?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let studies = answer.json()["studies"].as_array().unwrap().clone();
        let text = |study: &serde_json::Value, key: &str| study[key].as_str().unwrap().to_owned();
        studies.iter().map(|s| (text(s, "StudyInstanceUID"), text(s, "availability"))).collect::<Vec<_>>()
    };
    let all = listed("");
    assert!(all.len() == 6 && all.iter().all(|(_, availability)| availability == "NEARLINE"), "{all:?}");
    let unfiled = listed("status=not-filed");
    assert!(unfiled.len() == 5 && unfiled.iter().any(|(uid, _)| *uid == last), "{unfiled:?}");
    assert!(listed("source=-").is_empty());
    assert_eq!(listed(&format!("status=not-filed&StudyInstanceUID={last}")).len(), 1);
    let page = browser.get("/studies?status=not-filed").body;
    assert!(page.contains(&format!("/studies/{last}")) && page.contains("status wait\">not filed"), "{page}");
    assert!(browser.get("/studies").body.contains("filed in part"));
    // The split screen has them as well, to be looked at and not to be taken or dropped on.
    let pane = browser.get("/panes/studies").body;
    assert!(pane.matches("class=\"mark\">not filed").count() == 5 && pane.contains("filed in part"), "{pane}");
    assert!(pane.contains(&format!("href=\"/studies/{last}\"")), "{pane}");
    assert_eq!((pane.matches("data-study=").count(), pane.contains(&format!("data-study=\"{last}\""))), (1, false));
    assert_eq!(browser.get("/api/v1/studies?scope=patients").json()["patients"].as_array().unwrap().len(), 6);
    let page = browser.get(&format!("/studies/{last}"));
    assert!(
        page.status == 200 && page.body.contains("0 of 3 objects") && page.body.contains("Fetch now"),
        "{}",
        page.body
    );
    assert_eq!(browser.get("/studies/1.2.3.4").status, 404);
    let gone = browser.post("/studies/1.2.3.4", &[("action", "fetch")]);
    assert_eq!(gone.status, 409, "{}", gone.body);
    let fetched = browser.post(&format!("/studies/{last}"), &[("action", "fetch")]);
    assert_eq!(fetched.status, 303, "{}", fetched.body);
    until("the study", LONG, || {
        let study = browser.get(&format!("/api/v1/studies/{last}")).json();
        (study["awaited"].is_null() && study["series"].as_array()?.len() == 1).then_some(())
    });
    assert_eq!(both.retrieves_of(&last), 1);
    assert!(!browser.get(&format!("/studies/{last}")).body.contains("Fetch now"));
    assert!(ferry.run(&["audit"]).out.contains("fetches study"));
}
