//! The console in a real browser: signing in, importing a folder, following a job, its report.

use serde_json::json;

use crate::support::chromium::{Chromium, key};
use crate::support::console::{PASSWORD, first_password};
use crate::support::peers::{Ferry, PATIENCE, distinct, samples, until};
use crate::support::running::started_worker;

#[test]
fn the_first_account_signs_in_and_chooses_a_password() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let _node = ferry.serve();
    let password = first_password(&ferry);
    let mut chromium = Chromium::open(&ferry);
    chromium.tolerate("status of 401");
    chromium.go("/studies?PatientName=Doe");
    chromium.arrives("/sign-in?next=");
    chromium.sign_in("admin", "not the password");
    chromium.has("[role=alert]", 1);
    chromium.sign_in("admin", &password);
    chromium.arrives("/password");
    chromium.choose_password(&password);
    chromium.arrives("/jobs");
    chromium.shows("No jobs yet");
    chromium.click("//button[.='Sign out']");
    chromium.arrives("/sign-in");
    chromium.go("/studies?PatientName=Doe");
    chromium.arrives("/sign-in");
    // Once more without a mouse: the first field has the focus.
    let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    for (text, end) in [("admin", key::TAB), (PASSWORD, key::ENTER)] {
        chromium.press(&letters(text).iter().map(String::as_str).chain([end]).collect::<Vec<_>>());
    }
    chromium.arrives("/studies?PatientName=Doe");
}

#[test]
fn a_folder_is_browsed_imported_and_reported() {
    let samples = samples();
    let ferry = Ferry::new();
    let root = ferry.folder().join("disk");
    std::fs::create_dir_all(root.join("ct")).unwrap();
    let files: Vec<_> = distinct(&samples).into_iter().take(40).collect();
    for (number, sample) in files.iter().enumerate() {
        std::fs::copy(&sample.path, root.join(format!("ct/{number}.dcm"))).unwrap();
    }
    ferry.configure(&[]);
    let settings = ferry.folder().join("pacsferry.toml");
    let browse = format!("[web]\nbrowse = [\"{}\"]\n", root.display());
    std::fs::write(&settings, std::fs::read_to_string(&settings).unwrap().replace("[web]\n", &browse)).unwrap();
    let node = ferry.serve_with_worker();
    started_worker(&ferry);
    let chromium = Chromium::begin(&ferry);
    chromium.click("//a[contains(., 'Browse')]");
    chromium.arrives("/folders");
    chromium.click("ul.folders a");
    chromium.click("//a[.='ct']");
    chromium.shows("holds 40 files");
    chromium.click("//button[.='Import this folder']");
    chromium.arrives("/jobs/1");
    until("the page says that it is done", PATIENCE * 2, || {
        (chromium.text("[data-show=state]") == "finished").then_some(())
    });
    chromium.go("/jobs/1");
    assert_eq!(chromium.text("[data-show=filed]"), "40");
    chromium.go("/jobs/1/report");
    let report = chromium.download("a[href$='/report/csv']", "pacsferry-job-1.csv");
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("ct"), "{report}");
    chromium.go("/studies");
    let studies = ferry.json(&["find", "catalog", "--level", "study", "--json"]);
    chromium.has("tbody tr", studies.as_array().unwrap().len().min(50));
    assert_eq!(chromium.run("return document.querySelectorAll('script:not([src]), [style]').length"), json!(0));
    drop((chromium, node));
}
