//! DICOMweb of studies that are listed and not filed yet: they are fetched first, or it is said why not.

use crate::support::dicomweb::Program;
use crate::support::peers::{PATIENCE, until};
use crate::union::Both;

const AS_HELD: &str = "Accept: multipart/related; type=\"application/dicom\"; transfer-syntax=*\r\n";

#[test]
fn a_study_that_is_not_there_yet_is_fetched_for_a_web_viewer() {
    let both = Both::under_way(&[("associations", "2")]);
    let program = Program::new(&both.scene.ferry, "anna", "administrator");
    let last = both.last();
    let found = program.get(&format!("/studies?StudyInstanceUID={last}"), "").json();
    assert_eq!(found[0]["00080056"]["Value"][0], "NEARLINE", "{found}");
    // On a machine that is busy it may have to be asked again.
    let series = until("the study", PATIENCE * 2, || {
        let told = program.get(&format!("/studies/{last}/series"), "");
        (told.status != 503).then_some(told)
    });
    assert_eq!((series.status, series.header("warning")), (200, ""), "{}", series.head);
    let told = program.get(&format!("/studies/{last}"), AS_HELD);
    assert_eq!(told.status, 200, "{}", told.head);
    assert_eq!(told.body.windows(4).filter(|w| *w == b"DICM").count(), 3);
    assert_eq!(both.scene.report().item("proven"), 1, "before all others");
    let found = program.get(&format!("/studies/{last}/instances"), "").json();
    let instance = format!("/studies/{last}/instances/{}", found[0]["00080018"]["Value"][0].as_str().unwrap());
    assert_eq!(program.get(&format!("{instance}/bulkdata/7FE00010"), "").status, 200);
    assert_eq!(program.get("/studies/1.2.3/metadata", "").status, 404, "nobody has ever heard of it");
}

#[test]
fn a_study_that_cannot_be_fetched_is_said_to_be_where_it_is() {
    let both = Both::under_way(&[("associations", "1")]);
    let ferry = &both.scene.ferry;
    let program = Program::new(ferry, "anna", "administrator");
    let last = both.last();
    let done = ferry.run(&["job", "last", "pause"]);
    assert_eq!(done.code, 0, "{}", done.err);
    for path in ["", "/metadata", "/series", "/instances"].map(|rest| format!("/studies/{last}{rest}")) {
        let told = program.get(&path, "");
        assert_eq!(told.status, 503, "{}", told.head);
        assert!(told.header("retry-after").parse::<u32>().is_ok(), "{}", told.head);
        let detail = told.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("still on oldpacs") && detail.contains("is paused"), "{detail}");
    }
    // What is filed in part is told, as a part.
    let newest = program.get("/studies?StudyDate=20240101-", "").json();
    let newest = newest[0]["0020000D"]["Value"][0].as_str().unwrap().to_owned();
    let told = program.get(&format!("/studies/{newest}/metadata"), "");
    assert_eq!((told.status, told.header("etag")), (206, ""), "{}", told.head);
    assert!(told.header("warning").contains("is paused"), "{}", told.head);
    let count = told.json().as_array().unwrap().len();
    assert!(count > 0 && count < 200, "{count}");
    assert_eq!(program.get(&format!("/studies/{newest}"), AS_HELD).status, 206);
    let series = program.get(&format!("/studies/{newest}/series"), "");
    assert!(series.status == 200 && series.header("warning").contains("not here as a whole"), "{}", series.head);
}
