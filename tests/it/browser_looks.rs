//! Every page of the console as people see it: empty and full, light and dark, on a desk and on a telephone. axe-core
//! finds nothing against WCAG 2.2 AA, nothing is wider than the page, and the pictures are kept to be looked at.

use pacsferry::catalog::{Catalog, synthetic};

use crate::support::chromium::Chromium;
use crate::support::peers::Ferry;
use crate::support::ward::{ANNA, JOHN, Object, TARO, make, slices, study_uid};

/// Patients whose names want room, or another direction.
fn objects() -> Vec<Object> {
    let long = &"A description that goes on and on, as those of examinations with many parts do"[..64];
    let named = |study: usize, name: &str, id: &str| {
        let object = slices(JOHN, study, 1, 1).remove(0).with("SpecificCharacterSet", "ISO_IR 192");
        let object = object.with("PatientName", name).with("PatientID", id);
        object.with("StudyDescription", long).with("SeriesDescription", long)
    };
    let mut objects = [slices(ANNA, 1, 1, 2), slices(TARO, 2, 1, 1), slices(TARO, 2, 2, 2)].concat();
    objects.push(named(3, "محمد^عبد الرحمن", "RTL-1"));
    objects.push(named(4, "כהן^אברהם", "RTL-2"));
    let name = "Wolfeschlegelsteinhausenbergerdorff^Hubert-Blaine^Adolph Charles David^Dr.";
    objects.push(named(5, &name[..62], "AN-IDENTIFIER-OF-SIXTY-FOUR-CHARACTERS-WITHOUT-ANY-PLACE-TO-BREAK"));
    objects
}

/// Records a study of so many series, of which nothing lies on the disk; its UID.
fn large(ferry: &Ferry, series: u32) -> String {
    const STUDY: u64 = 7;
    let catalog = Catalog::open(&ferry.folder().join("catalog.db")).unwrap();
    let instances: Vec<_> = (1..=series).map(|number| synthetic::series(STUDY, number)).collect();
    for batch in instances.chunks(500) {
        catalog.record(batch.to_vec()).unwrap();
    }
    synthetic::listed(STUDY, series).study_uid.as_str().to_owned()
}

#[test]
fn every_page_is_fit_to_be_seen() {
    let ferry = Ferry::new();
    let disk = ferry.folder().join("disk");
    std::fs::create_dir_all(disk.join("a folder with a long name that somebody gave it in 1998")).unwrap();
    ferry.configure(&[]);
    let settings = ferry.folder().join("pacsferry.toml");
    let browse = format!("[web]\nbrowse = [\"{}\"]\n", disk.display());
    std::fs::write(&settings, std::fs::read_to_string(&settings).unwrap().replace("[web]\n", &browse)).unwrap();
    let _node = ferry.serve();
    let mut chromium = Chromium::open(&ferry);
    chromium.tolerate("status of 404");
    let mut faults = Vec::new();
    let mut look = |chromium: &Chromium, path: &str, name: &str| {
        chromium.go(path);
        faults.extend(chromium.look(name));
    };
    look(&chromium, "/sign-in", "sign-in");
    drop(chromium);
    let mut chromium = Chromium::begin(&ferry);
    chromium.tolerate("status of 4");
    look(&chromium, "/jobs", "jobs-empty");
    look(&chromium, "/studies", "studies-empty");
    look(&chromium, "/split", "split-empty");
    look(&chromium, "/corrections", "corrections-empty");
    look(&chromium, "/password", "password");
    look(&chromium, "/nodes", "nodes");
    look(&chromium, "/priors", "priors");
    look(&chromium, "/accounts", "accounts");
    look(&chromium, "/accounts/admin", "account");
    look(&chromium, "/guide", "guide");
    look(&chromium, "/guide/console", "guide-console");
    look(&chromium, "/api", "api");
    look(&chromium, "/nothing", "missing");
    look(&chromium, "/folders", "folders");
    look(&chromium, &format!("/folders?path={}", disk.display()), "folder");

    make(&disk, &objects());
    std::fs::write(disk.join("broken.dcm"), [vec![0; 128], b"DICM, and then nothing".to_vec()].concat()).unwrap();
    ferry.run(&["import", "--copy", disk.to_str().unwrap()]);
    let heart = large(&ferry, 5000);
    look(&chromium, "/jobs", "jobs");
    look(&chromium, "/jobs/1", "job");
    look(&chromium, "/jobs/1/report", "report");
    look(&chromium, "/quarantine", "quarantine");
    look(&chromium, "/quarantine/1", "quarantined");
    look(&chromium, "/studies", "studies");
    look(&chromium, "/studies?PatientName=Nobody", "studies-none");
    look(&chromium, "/studies?StudyDate=yesterday", "studies-trouble");
    look(&chromium, &format!("/studies/{}", study_uid(2)), "study-japanese");
    look(&chromium, &format!("/studies/{}", study_uid(3)), "study-right-to-left");
    look(&chromium, &format!("/studies/{}", study_uid(5)), "study-long");
    chromium.go(&format!("/studies/{heart}"));
    faults.extend(chromium.look_only("study-5000-series"));

    chromium.go("/split");
    chromium.click(".pane:nth-of-type(1) form button");
    chromium.write(".pane:nth-of-type(2) [name=PatientName]", "Yamada");
    chromium.click(".pane:nth-of-type(2) form button");
    chromium.has(".pane:nth-of-type(1) [data-study]", 6);
    chromium.click(".pane:nth-of-type(2) summary");
    chromium.has(".pane:nth-of-type(2) [data-series]", 2);
    chromium.click(".pane:nth-of-type(2) [data-pick]");
    faults.extend(chromium.look("split"));

    let plan = format!("/plan?from={}&series={}.1&to={}", study_uid(5), study_uid(5), study_uid(3));
    chromium.go(&plan);
    faults.extend(chromium.look("plan"));
    assert_eq!(chromium.reach(390, ".sides"), "", "on a telephone both patients, and both studies, are seen at once");
    chromium.go("/studies");
    let menus = chromium.reach(390, ".worklist [data-menu]");
    assert_eq!(menus, "", "the menu of a study is there without scrolling sideways");
    chromium.go(&plan);
    chromium.click("[name=confirm_patient]");
    chromium.write("#commit [name=reason]", "MWL");
    chromium.click("#commit button");
    chromium.arrives("/corrections?done=1");
    faults.extend(chromium.look("corrections"));
    chromium.go("/corrections/1");
    faults.extend(chromium.look("correction"));
    assert!(faults.is_empty(), "{} findings:\n{}", faults.len(), faults.join("\n"));
}
