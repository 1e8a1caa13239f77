//! Operations of the Content Manager.

use super::Kind::{Flag, Number, Text, Texts, Word};
use super::{Field, Operation, get, may, must, post};
use crate::config::Privilege::{Content, Discard, Undo, View};
use crate::web::{content, correction, corrections, quarantine};

const MOVE: &[Field] = &[
    may("series", Texts, "the series that are moved, by UID; or"),
    may("instances", Texts, "the objects that are moved; or"),
    may("study", Text, "the study of which everything is moved"),
    may("from", Text, "the study that they are in, where that is not clear"),
    may("to", Text, "the study that they go to; without it into a new one"),
    may("mode", Word(&["", "local", "iocm"]), "as configured where it is left out"),
    may("reason", Text, "a code of the site"),
    may("reason_text", Text, "and words"),
    may("confirm_patient", Flag, "the other patient is the right one (privilege `across-patients`)"),
    may("confirm_documents", Flag, "verified and signed documents may be replaced"),
    may("force_local", Flag, "locally, although nodes hold copies (privilege `force-local`)"),
    may("leave_companions", Flag, "what only refers to the moved objects stays"),
    may("sheet", Text, "`sheet` of the plan: moves only if that plan still holds"),
];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        post("/api/v1/plans", content::plan_json)
            .does("Corrections", "What a move would do; nothing is changed", Some(View))
            .takes(MOVE)
            .answers(200, "Plan"),
        get("/api/v1/corrections", corrections::list_json)
            .does("Corrections", "What was corrected, the latest first, fifty at a time", Some(View))
            .asks([
                may("study", Text, "only what touched this study"),
                may("kind", Word(&["reallocate", "merge", "split", "clear", "file", "discard"]), "only these"),
                may("state", Word(&["active", "undone"]), "only these"),
                may("operator", Text, "only those of this person"),
                may("reason", Text, "only those with this code"),
                may("before", Number, "`before` of the page before"),
            ])
            .answers(200, "Corrections"),
        get("/api/v1/corrections/{id}", correction::show_json)
            .does("Corrections", "A correction, what was planned, and what others were told", Some(View))
            .answers(200, "Correction"),
        post("/api/v1/corrections", content::commit_json)
            .does("Corrections", "Moves series, objects or a study to another study", Some(Content))
            .takes(MOVE)
            .answers(201, "Done"),
        post("/api/v1/corrections/{id}/undo", corrections::undo_json)
            .does("Corrections", "Takes a correction back", Some(Undo))
            .takes([may("reason", Text, "a code of the site"), may("reason_text", Text, "and words")])
            .answers(200, "Undone"),
        get("/api/v1/quarantine", quarantine::list_json)
            .does("Quarantine", "What is in quarantine, fifty at a time", Some(View))
            .asks([may("uid", Text, "what names this UID"), may("after", Number, "`after` of the page before")])
            .answers(200, "Quarantine"),
        get("/api/v1/quarantine/{number}", quarantine::show_json)
            .does("Quarantine", "An object in quarantine, and its header", Some(View))
            .answers(200, "Quarantined"),
        post("/api/v1/quarantine/{number}", quarantine::act_json)
            .does("Quarantine", "Files an object where it belongs, or discards it", Some(Discard))
            .takes([
                must("action", Word(&["file", "discard"]), "what is to be done"),
                may("to", Text, "`file`: the study in which it belongs, where it is not the one that it names"),
                may("series", Text, "`file`: the series"),
                may("reason", Text, "a code of the site"),
                may("reason_text", Text, "and words; to discard takes one of both"),
                may("confirm_patient", Flag, "the other patient is the right one"),
            ])
            .answers(201, "Done"),
    ]
}
