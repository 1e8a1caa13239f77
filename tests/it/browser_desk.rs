//! The desk of whoever looks after the studies, in a real browser: whole studies merged and series split off by their
//! menus, locks of others, quarantine, and all of it taken back. What came of it is asked from outside.

use crate::support::chromium::{Chromium, key};
use crate::support::console::signed_in;
use crate::support::peers::{PATIENCE, until};
use crate::support::ward::{ANNA, JOHN, Object, TARO, Ward, make, series_uid, slices, study_uid};

/// Within the left or the right side of the split screen.
fn side(number: usize, what: &str) -> String {
    format!(".pane:nth-of-type({number}) {what}")
}

/// An entry of the menu that is open.
fn entry(text: &str) -> String {
    format!("//button[@role='menuitem'][contains(., '{text}')]")
}

/// Looks for these patients on both sides.
fn split_screen(chromium: &Chromium, patients: [&str; 2]) {
    chromium.go("/split");
    for (number, patient) in [(1, patients[0]), (2, patients[1])] {
        chromium.write(&side(number, "[name=PatientID]"), patient);
        chromium.click(&side(number, "form button"));
        chromium.has(&side(number, "[data-study]"), 1);
    }
}

/// Does what the plan says, once the node does not think any more that the studies are still being sent.
fn carry_out(chromium: &Chromium, reason: &str) {
    chromium.arrives("/plan?");
    until("the plan may be done", PATIENCE, || {
        if chromium.count("#commit") == 1 {
            return Some(());
        }
        chromium.go(&chromium.place());
        None
    });
    if chromium.count("#commit [name=confirm_patient]") == 1 {
        chromium.click("#commit [name=confirm_patient]");
    }
    chromium.write("#commit [name=reason]", reason);
    chromium.click("#commit button");
    chromium.arrives("/corrections?done=");
}

/// Takes an operation back.
fn undo(chromium: &Chromium, operation: usize) {
    chromium.go("/corrections");
    chromium.click(&format!("a[aria-label='Undo operation {operation}']"));
    chromium.arrives(&format!("/corrections/{operation}"));
    chromium.write("form[action$='/undo'] [name=reason]", "MISTAKE");
    chromium.click("form[action$='/undo'] button");
    chromium.arrives(&format!("/corrections?undone={operation}"));
}

/// What `findscu` sees: each study with the number of its objects and its patient.
fn studies(ward: &Ward) -> Vec<String> {
    ward.find("STUDY", &["StudyInstanceUID", "NumberOfStudyRelatedInstances", "PatientID"])
}

#[test]
fn studies_are_merged_and_split_by_their_menus_and_locks_of_others_are_asked_about() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 2), slices(ANNA, 1, 2, 1), slices(TARO, 2, 1, 1)].concat());
    let before = studies(&ward);
    let chromium = Chromium::begin(&ward.ferry);

    split_screen(&chromium, [ANNA.id, TARO.id]);
    chromium.click(&side(1, "[data-menu]"));
    chromium.click(&entry("Take the whole study"));
    chromium.click(&side(2, "[data-drop]:not([hidden])"));
    carry_out(&chromium, "DOUBLE");
    assert_eq!(studies(&ward), [format!("{} | 4 | {}", study_uid(2), TARO.id)]);
    undo(&chromium, 1);
    assert_eq!(studies(&ward), before);

    // Without a mouse: the menu of the study, once one of its series is ticked.
    split_screen(&chromium, [ANNA.id, TARO.id]);
    chromium.click(&side(1, "summary"));
    let series = format!("[data-series='{}']", series_uid(1, 2));
    chromium.has(&series, 1);
    chromium.tab_to(&format!("{series} > [data-pick]"));
    chromium.press(&[key::SPACE]);
    chromium.tab_to(&side(1, "[data-menu]"));
    chromium.press(&[key::ENTER]);
    until("the entry that splits has the focus", PATIENCE, || {
        let entry = chromium.run("return document.activeElement.textContent");
        if entry.as_str().is_some_and(|text| text.starts_with("Split 1 series off")) {
            return Some(());
        }
        chromium.press(&[key::DOWN]);
        None
    });
    chromium.press(&[key::ENTER]);
    carry_out(&chromium, "TWO_EXAMS");
    let split = studies(&ward);
    assert!(split.len() == 3 && split.contains(&format!("{} | 2 | {}", study_uid(1), ANNA.id)), "{split:?}");
    undo(&chromium, 2);
    assert_eq!(studies(&ward), before);

    // A study that somebody else holds.
    let ben = signed_in(&ward.ferry, "ben", "administrator");
    let page = format!("/studies/{}", study_uid(2));
    let hold = || assert_eq!(ben.post(&page, &[("action", "lock"), ("reason", "second opinion")]).status, 303);
    hold();
    chromium.go(&format!("/plan?study={}&to={}", study_uid(1), study_uid(2)));
    chromium.shows("locked by ben");
    assert_eq!(chromium.count("#commit"), 0, "nothing can be moved into it");
    chromium.go(&format!("/studies?PatientID={}", TARO.id));
    chromium.click("tbody [data-menu]");
    chromium.click(&entry("Unlock study"));
    chromium.shows("which ben has locked?");
    chromium.write("dialog [name=reason]", "he has gone home");
    chromium.click("dialog button[value=yes]");
    until("nobody holds it", PATIENCE, || (chromium.count("[data-locked]") == 0).then_some(()));
    hold();
    chromium.go(&page);
    chromium.shows("Locked by ben");
    chromium.shows("second opinion");
    chromium.click_and_agree("//button[.='Unlock study']", "ben has locked this study");
    until("nobody holds it", PATIENCE, || (!chromium.says("Locked by ben")).then_some(()));
    let trail = ward.ferry.run(&["audit"]).out;
    assert!(trail.contains("he has gone home"), "{trail}");
}

#[test]
fn objects_in_quarantine_are_filed_discarded_and_taken_back() {
    let ward = Ward::of(&slices(TARO, 2, 1, 1));
    let before = studies(&ward);
    let folder = ward.ferry.folder().join("stray");
    std::fs::create_dir(&folder).unwrap();
    let strays: Vec<Object> = slices(JOHN, 3, 1, 2)
        .into_iter()
        .map(|mut object| {
            object.elements.remove("SeriesInstanceUID");
            object
        })
        .collect();
    make(&folder, &strays);
    let imported = ward.ferry.run(&["import", "--copy", folder.to_str().unwrap()]);
    assert_eq!(imported.code, 3, "{}", imported.err);

    let mut chromium = Chromium::begin(&ward.ferry);
    // What is asked about is refused at first.
    chromium.tolerate("status of 409");
    chromium.click("//nav//a[.='Quarantine']");
    chromium.arrives("/quarantine");
    chromium.has("tbody tr", 2);
    chromium.click("tbody tr:last-child a");
    chromium.arrives("/quarantine/");
    chromium.shows("no Series Instance UID");
    chromium.shows("(0010,0020)");
    chromium.write("[name=to]", &study_uid(2));
    chromium.write("[name=series]", &series_uid(2, 1));
    chromium.write("//form[.//button[.='File it']]//input[@name='reason']", "LOST");
    chromium.click("//button[.='File it']");
    // Of another patient: both are compared, and what was written is still there.
    chromium.has("[name=confirm_patient]", 1);
    chromium.shows("Doe, John");
    assert!(chromium.count(".differs") >= 2, "every difference is marked");
    assert_eq!(studies(&ward), before, "nothing is filed before that is confirmed");
    chromium.click("[name=confirm_patient]");
    chromium.click("//button[.='File it']");
    chromium.arrives("/quarantine?done=1");
    assert_eq!(studies(&ward), [format!("{} | 2 | {}", study_uid(2), TARO.id)]);
    assert_eq!(ward.moved(&study_uid(2)).len(), 2);

    chromium.click("tbody a");
    chromium.write("//form[.//button[.='Discard it']]//input[@name='reason']", "BROKEN");
    chromium.click("//button[.='Discard it']");
    chromium.arrives("/quarantine?done=2");
    chromium.shows("Nothing is in quarantine.");
    for operation in [2, 1] {
        undo(&chromium, operation);
    }
    chromium.go("/quarantine");
    chromium.has("tbody tr", 2);
    assert_eq!(studies(&ward), before);
}
