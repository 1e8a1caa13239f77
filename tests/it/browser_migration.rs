//! A migration that only the page drives, out of Orthanc, while everything of pacsferry is killed in the middle.

use crate::support::chromium::Chromium;
use crate::support::peers::{Ferry, Orthanc, PATIENCE, Source, free_port, until};
use crate::support::running::started_worker;
use crate::support::ward::{JOHN, Object, make, slices};

const STUDIES: usize = 60;

#[test]
fn a_migration_is_started_watched_and_ends_proven_whatever_is_killed_meanwhile() {
    let ferry = Ferry::new();
    let orthanc = Orthanc::start(&[(Ferry::AE_TITLE, ferry.receiver)], 0);
    let folder = tempfile::tempdir().unwrap();
    let objects: Vec<Object> = (1..=STUDIES).flat_map(|study| slices(JOHN, study, 1, 2)).collect();
    orthanc.take(&make(folder.path(), &objects));
    ferry.configure(&[Source {
        name: "oldpacs",
        ae_title: Orthanc::AE_TITLE,
        port: orthanc.port,
        keys: "associations = 1\nsettle = \"1s\"\nretry = { first = \"1s\", longest = \"2s\" }",
    }]);
    let node = ferry.serve_with_worker();
    started_worker(&ferry);
    let mut chromium = Chromium::begin(&ferry);
    // What the browser says of a server that is gone.
    chromium.tolerate("net::ERR_");
    chromium.click("//form[@action='/jobs']//button[.='Start']");
    chromium.arrives("/jobs/1");
    chromium.run("window.opened = true");
    let proven = || chromium.text("[data-show=proven]").parse::<usize>().unwrap_or(0);
    let some = until("the page sees the first studies proven", PATIENCE, || Some(proven()).filter(|n| *n > 2));
    assert_eq!(chromium.run("return window.opened"), true, "the same page, not loaded again");
    assert!(chromium.run("return document.title").as_str().unwrap().contains('%'), "its title tells as well");

    ferry.kill();
    drop(node);
    assert!(some < STUDIES, "it was killed in the middle: {some}");
    let node = ferry.serve_with_worker();
    started_worker(&ferry);

    until("the page says that it is done", PATIENCE * 2, || {
        (chromium.text("[data-show=state]") == "finished").then_some(())
    });
    until("the page as it is at the end", PATIENCE, || (proven() == STUDIES).then_some(()));
    assert_eq!(chromium.text("[data-show=fallout]"), "0");
    assert_eq!(ferry.filed().len(), objects.len());
    drop((chromium, node));
}

#[test]
fn a_job_whose_source_is_away_is_seen_to_wait_while_the_page_is_open() {
    let ferry = Ferry::new();
    let port = free_port();
    ferry.configure(&[Source { name: "gone", ae_title: "GONE", port, keys: "" }]);
    let _node = ferry.serve_with_worker();
    started_worker(&ferry);
    let chromium = Chromium::begin(&ferry);
    chromium.click("//form[@action='/jobs']//button[.='Start']");
    chromium.arrives("/jobs/1");
    chromium.run("window.opened = true");
    let waits = |what: &str| (chromium.text("[data-show=state]") == "waiting" && chromium.says(what)).then_some(());
    until("its page says so", PATIENCE, || waits("Connection refused"));
    assert_eq!(chromium.run("return document.querySelector('[data-show=message]').className"), "note");
    assert_eq!(chromium.run("return window.opened"), true, "the same page, not loaded again");
    chromium.go("/jobs");
    // What was drawn first is taken away: what comes after it came by the stream.
    chromium.run("document.querySelector('[data-watch] + tr > :last-child').textContent = ''");
    chromium.run("document.querySelector('[data-show=state]').textContent = ''");
    until("the list says so", PATIENCE, || waits("Connection refused"));
}
