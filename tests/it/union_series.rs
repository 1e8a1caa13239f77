//! Below the level of studies, what is not filed is asked of its source while somebody waits; and a retrieve of a series
//! fetches its study.

use pacsferry::dicom::{SeriesInstanceUid, Status};
use serde_json::json;

use crate::support::peers::{Answers, Question};
use crate::support::viewer;
use crate::union::{Both, kinds};

fn asked(both: &Both, level: &str, study: &str, series: &str) -> Answers {
    let keys = json!({
        "QueryRetrieveLevel": level, "StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": "",
        "Modality": "",
    });
    Question::of("S", keys).ask(&both.scene.ferry)
}

#[test]
fn series_and_instances_of_what_is_not_filed_are_asked_of_the_source() {
    let mut both = Both::under_way(&[("associations", "2")]);
    let last = both.last();
    let found = asked(&both, "SERIES", &last, "");
    assert_eq!((found.status, found.rows.len()), (0, 1), "{found:?}");
    let row = &found.rows[0];
    assert_eq!((row["InstanceAvailability"].as_str(), row["Modality"].as_str()), ("NEARLINE", "CT"), "{row:?}");
    let series = row["SeriesInstanceUID"].clone();
    let found = asked(&both, "IMAGE", &last, &series);
    assert_eq!((found.status, found.rows.len()), (0, 3), "{found:?}");
    assert!(found.rows.iter().all(|row| row["StudyInstanceUID"] == last), "{found:?}");
    // What does not match is no answer, whatever the source thinks of the key.
    let keys = json!({ "QueryRetrieveLevel": "SERIES", "StudyInstanceUID": last, "Modality": "MR" });
    assert!(Question::of("S", keys).ask(&both.scene.ferry).rows.is_empty());
    assert_eq!(both.retrieves_of(&last), 0, "nothing was fetched for that");
    // A source that is gone is no empty answer.
    both.scene.pacs.stop();
    let found = asked(&both, "SERIES", &last, "");
    assert_eq!((found.status, found.rows.len()), (0xC001, 0), "{found:?}");
    assert!(found.comment.contains("still on oldpacs"), "{found:?}");
    both.scene.pacs.restart().unwrap();
}

#[test]
fn a_retrieve_of_a_series_fetches_its_study() {
    let both = Both::under_way(&[("associations", "2")]);
    let last = both.last();
    let series = asked(&both, "SERIES", &last, "").rows[0]["SeriesInstanceUID"].clone();
    let mut what = viewer::study(&last);
    what.series = Some(SeriesInstanceUid::new(&series));
    let seen = viewer::get(both.scene.ferry.node, &kinds(), &what);
    assert_eq!((seen.end.status, seen.received.len()), (Status::SUCCESS, 3), "{:?}", seen.end);
    assert_eq!(both.retrieves_of(&last), 1);
}
