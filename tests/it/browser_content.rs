//! A series that lies in the wrong study, put right in a real browser: by mouse, and without one. What came of it is
//! asked from outside.

use crate::support::chromium::{Chromium, key};
use crate::support::peers::{PATIENCE, until};
use crate::support::ward::{ANNA, JOHN, Ward, series_uid, slices, study_uid};

/// John's study has a series of Anna's.
fn ward() -> Ward {
    let objects = [slices(ANNA, 1, 1, 2), slices(JOHN, 2, 1, 1), slices(JOHN, 2, 2, 2)];
    Ward::of(&objects.concat())
}

/// The fields of the left and of the right side.
fn side(number: usize, what: &str) -> String {
    format!(".pane:nth-of-type({number}) {what}")
}

/// The plan, once the node does not think any more that the studies are still being sent.
fn planned(chromium: &Chromium) {
    chromium.arrives("/plan?");
    until("the plan may be done", PATIENCE, || {
        if chromium.count("#commit") == 1 {
            return Some(());
        }
        chromium.go(&chromium.place());
        None
    });
}

/// What `findscu` sees of both studies: their series.
fn listed(ward: &Ward) -> [Vec<String>; 2] {
    [1, 2].map(|study| {
        let key = format!("StudyInstanceUID={}", study_uid(study));
        let series = ward.find("SERIES", &["SeriesInstanceUID", &key]);
        series.iter().filter_map(|line| line.split(" | ").next()).map(str::to_owned).collect()
    })
}

/// How many objects `movescu` sends of each study.
fn moved(ward: &Ward) -> [usize; 2] {
    [1, 2].map(|study| ward.moved(&study_uid(study)).len())
}

#[test]
fn a_series_is_dragged_to_its_study_and_back_by_undo() {
    let ward = ward();
    let before = listed(&ward);
    assert_eq!(before.each_ref().map(Vec::len), [1, 2], "{before:?}");
    let chromium = Chromium::begin(&ward.ferry);
    // Which study it is, in the worklist.
    chromium.go("/studies");
    chromium.write("[name=PatientName]", "Doe");
    chromium.press(&[key::ENTER]);
    until("the search", PATIENCE, || chromium.place().contains("PatientName=Doe").then_some(()));
    chromium.has("tbody tr", 1);
    chromium.click("tbody a");
    chromium.arrives(&format!("/studies/{}", study_uid(2)));
    // A lock, and its end.
    chromium.write("//form[.//button[.='Lock study']]//input[@name='reason']", "being read");
    chromium.click("//button[.='Lock study']");
    chromium.shows("Locked by admin");
    chromium.shows("being read");
    chromium.click("//button[.='Unlock study']");
    until("nobody holds it", PATIENCE, || (!chromium.says("Locked by admin")).then_some(()));

    chromium.go("/split");
    for (number, patient) in [(1, "C3"), (2, "A1")] {
        chromium.write(&side(number, "[name=PatientID]"), patient);
        chromium.click(&side(number, "form button"));
    }
    chromium.click(&side(1, "summary"));
    let series = format!("[data-series='{}']", series_uid(2, 2));
    chromium.has(&side(2, "[data-study]"), 1);
    chromium.has(&series, 1);
    chromium.drag(&series, &side(2, "[data-study]"));
    planned(&chromium);
    chromium.shows("Müller, Änne");
    chromium.shows("Doe, John");
    assert!(chromium.count(".differs") >= 3, "every difference is marked");
    assert_eq!(listed(&ward), before, "dragging alone moves nothing");
    chromium.click("[name=confirm_patient]");
    chromium.write("#commit [name=reason]", "MWL");
    chromium.click("#commit button");
    chromium.arrives("/corrections?done=1");
    let after = listed(&ward);
    assert!(after[0].contains(&series_uid(2, 2)) && after[1] == [series_uid(2, 1)], "{after:?}");
    assert_eq!(moved(&ward), [4, 1]);

    chromium.click("a[aria-label='Undo operation 1']");
    chromium.arrives("/corrections/1");
    chromium.write("form[action$='/undo'] [name=reason]", "MISTAKE");
    chromium.click("form[action$='/undo'] button");
    chromium.arrives("/corrections?undone=1");
    assert_eq!((listed(&ward), moved(&ward)), (before, [2, 3]));
}

#[test]
fn the_same_without_a_mouse() {
    let ward = ward();
    let before = listed(&ward);
    let chromium = Chromium::begin(&ward.ferry);
    chromium.tab_to("nav a[href='/split']");
    chromium.press(&[key::ENTER]);
    chromium.arrives("/split");
    for (number, patient) in [(1, "C3"), (2, "A1")] {
        chromium.tab_to(&side(number, "[name=PatientID]"));
        let letters: Vec<String> = patient.chars().map(String::from).collect();
        chromium.press(&letters.iter().map(String::as_str).chain([key::ENTER]).collect::<Vec<_>>());
        chromium.has(&side(number, "[data-study]"), 1);
    }
    chromium.tab_to(&side(1, "summary"));
    chromium.press(&[key::ENTER]);
    let series = format!("[data-series='{}']", series_uid(2, 2));
    chromium.has(&series, 1);
    chromium.tab_to(&format!("{series} > [data-pick]"));
    chromium.press(&[key::SPACE]);
    let here = side(2, "[data-drop]:not([hidden])");
    chromium.has(&here, 1);
    chromium.tab_to(&here);
    chromium.press(&[key::ENTER]);
    planned(&chromium);
    chromium.tab_to("[name=confirm_patient]");
    chromium.press(&[key::SPACE]);
    chromium.tab_to("#commit button");
    chromium.press(&[key::ENTER]);
    chromium.arrives("/corrections?done=1");
    let after = listed(&ward);
    assert_eq!(after.each_ref().map(Vec::len), [2, 1], "{after:?}");
    chromium.tab_to("a[aria-label='Undo operation 1']");
    chromium.press(&[key::ENTER]);
    chromium.arrives("/corrections/1");
    chromium.tab_to("form[action$='/undo'] [name=reason]");
    chromium.press(&["X", key::ENTER]);
    chromium.arrives("/corrections?undone=1");
    assert_eq!((listed(&ward), moved(&ward)), (before, [2, 3]));
}
