//! Operations on the studies that are held.

use super::Kind::{Number, Text, Word};
use super::{Operation, get, may, must, post};
use crate::config::Privilege::{Content, View};
use crate::web::{corrections, previews, studies, study};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/v1/studies", studies::list_json)
            .does("Studies", "Studies that are like that, fifty at a time", Some(View))
            .asks([
                may("PatientName", Text, "`*` and `?` stand for what is not known; the end is open"),
                may("PatientID", Text, "exactly, or with `*` and `?`"),
                may("PatientBirthDate", Text, "a day, or a range"),
                may("AccessionNumber", Text, "exactly, or with `*` and `?`"),
                may("StudyDate", Text, "a day, a month, a year, or a range: `2024-01..2024-03`"),
                may("StudyDescription", Text, "the end is open"),
                may("ModalitiesInStudy", Text, "`CT`"),
                may("ReferringPhysicianName", Text, "the end is open"),
                may("StudyInstanceUID", Text, "exactly"),
                may(
                    "scope",
                    Word(&["studies", "patients", "admin"]),
                    "patients instead, or also what queries do not show",
                ),
                may(
                    "sort",
                    Word(&["newest", "oldest", "name", "id", "accession"]),
                    "by an index; else as it is quickest",
                ),
                may(
                    "status",
                    Word(&["locked", "quarantined", "rejected", "corrected", "rescan-failed"]),
                    "only studies that are so, the latest first",
                ),
                may("source", Text, "who brought it; `-` for what was sent here or imported"),
                may("after", Text, "`after` of the page before"),
            ])
            .answers(200, "Studies"),
        post("/api/v1/studies", corrections::act_json)
            .does("Studies", "The same as below, for a study whose UID cannot stand in an address", Some(Content))
            .takes([
                must("study", Text, "its UID"),
                must("action", Word(&["lock", "unlock", "rescan", "fetch"]), "what is to be done"),
                may("reason", Text, "why"),
            ])
            .answers(200, "StudyActed"),
        get("/api/v1/preview", previews::show)
            .does(
                "Studies",
                "A picture (image/jpeg) of an object, or of one that stands for a series or a study",
                Some(View),
            )
            .asks([
                may("instance", Text, "the UID of an object"),
                may("series", Text, "the UID of a series"),
                may("study", Text, "the UID of a study"),
                may("frame", Number, "from 1 on"),
                may("size", Number, "pixels of its longer edge, up to 2048"),
            ]),
        get("/api/v1/objects", study::objects_json)
            .does("Studies", "The objects of a series", Some(View))
            .asks([
                must("study", Text, "the UID of its study"),
                must("series", Text, "its UID"),
                may("after", Text, "`after` of the page before"),
            ])
            .answers(200, "Objects"),
        get("/api/v1/studies/{uid}", study::show_json)
            .does("Studies", "A study and its series", Some(View))
            .answers(200, "Study"),
        post("/api/v1/studies/{uid}", corrections::act_on_json)
            .does(
                "Studies",
                "Locks or unlocks a study (somebody else's lock: `unlock`), or asks the AI platform \
                 to scan it again (`operate`)",
                Some(Content),
            )
            .takes([
                must("action", Word(&["lock", "unlock", "rescan", "fetch"]), "what is to be done"),
                may("reason", Text, "why"),
            ])
            .answers(200, "StudyActed"),
    ]
}
